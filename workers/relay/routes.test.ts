import { describe, expect, it } from 'vitest';
import { ROUTES, routeOf, upstreamPath } from './routes';

describe('routes', () => {
  it('answers the Claude paths with and without /api in front', () => {
    for (const prefix of ['', '/api']) {
      expect(routeOf(`${prefix}/v1/messages`)?.operation).toBe('messages');
      expect(routeOf(`${prefix}/v1/messages/count_tokens`)?.operation).toBe('count_tokens');
      expect(routeOf(`${prefix}/v1/models`)?.operation).toBe('models');
      expect(routeOf(`${prefix}/v1/models/claude-opus-5-5`)?.operation).toBe('model');
      expect(routeOf(`${prefix}/v1/key-info`)?.operation).toBe('key-info');
    }
  });

  it('knows the paths of a client’s own in both places', () => {
    for (const path of ['/', '/api/hello', '/api/api/hello']) {
      expect(routeOf(path)?.operation).toBe('hello');
    }
    for (const path of ['/api/oauth/usage', '/api/api/oauth/usage']) {
      expect(routeOf(path)?.operation).toBe('usage');
    }
  });

  it('does not know a path that only begins like one', () => {
    for (const path of [
      '/v1/messagesx',
      '/xv1/messages',
      '/v1/messages/',
      '/v2/messages',
      '/api',
    ]) {
      expect(routeOf(path)).toBeNull();
    }
  });

  it('says of the endpoints that hold things that they are not offered', () => {
    for (const path of [
      '/v1/files',
      '/v1/files/file_1/content',
      '/v1/messages/batches',
      '/v1/skills',
    ]) {
      expect(routeOf(path)?.operation).toBe('not-offered');
    }
  });

  it('has an auth row for every route, and a key before anything that can cost', () => {
    const open = ROUTES.filter((route) => route.auth === 'none').map((route) => route.operation);
    expect(new Set(open)).toEqual(new Set(['hello', 'health']));
    for (const route of ROUTES) expect(route.methods.length).toBeGreaterThan(0);
  });

  it('sends the protocol own path upstream', () => {
    expect(upstreamPath('/api/v1/messages')).toBe('/v1/messages');
    expect(upstreamPath('/v1/messages')).toBe('/v1/messages');
  });
});
