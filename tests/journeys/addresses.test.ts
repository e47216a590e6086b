// Addresses without a key: what answers whom, in which form, and what browsers are told.

import { expect, inject, test } from 'vitest';
import { send } from '../support/client';

const { origin, keys } = inject('relay');

test.each(['HEAD', 'GET'])('%s / and /api/hello are answered to anybody', async (method) => {
  for (const path of ['/', '/?beta=true', '/api/hello', '/api/api/hello']) {
    const { status, body } = await send(path, { method });
    expect([path, status]).toEqual([path, 200]);
    if (method === 'HEAD') expect(body).toHaveLength(0);
  }
});

test('the health of all three pillars is told, and nothing else', async () => {
  const { status, text } = await send('/health');
  expect(status).toBe(200);
  expect(JSON.parse(text)).toEqual({
    status: 'ok',
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    checks: { database: 'ok', ledger: 'ok', pool: 'ok' },
  });
});

test.each(['/nothing', '/api/v2/messages', '/v1/messages/', '/v1/complete', '/api'])(
  'the unknown path %s is 404 in the API’s form, with the request id twice',
  async (path) => {
    const { status, headers, text } = await send(path, { method: 'POST', body: '{}' });
    expect(status).toBe(404);
    const body: unknown = JSON.parse(text);
    expect(body).toMatchObject({ type: 'error', error: { type: 'not_found_error' } });
    expect(body).toHaveProperty('request_id', headers['request-id']);
    expect(headers['request-id']).toMatch(/^req_/);
  },
);

test.each([
  ['GET', '/api/v1/messages', 'POST'],
  ['PUT', '/v1/messages', 'POST'],
  ['GET', '/v1/messages/count_tokens', 'POST'],
  ['POST', '/api/v1/models', 'GET'],
  ['DELETE', '/v1/models/claude-opus-5-5', 'GET'],
  ['POST', '/api/v1/key-info', 'GET'],
  ['POST', '/health', 'GET, HEAD'],
])('%s %s is 405 and names what is allowed', async (method, path, allow) => {
  const { status, headers, text } = await send(path, { method, key: keys.errors });
  expect(status).toBe(405);
  expect(headers.allow).toBe(allow);
  expect(JSON.parse(text)).toMatchObject({
    type: 'error',
    error: { type: 'invalid_request_error' },
    request_id: headers['request-id'],
  });
});

test.each(['/v1/files', '/api/v1/files/file_1', '/v1/messages/batches', '/v1/skills'])(
  '%s says that it is not offered yet',
  async (path) => {
    const { status, text } = await send(path, { key: keys.errors });
    expect(status).toBe(404);
    expect(text).toContain('not offered by this relay yet');
  },
);

test('a preflight from a listed origin is told what it may send', async () => {
  const { status, headers } = await send('/api/v1/messages', {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, anthropic-version',
    },
  });
  expect(status).toBe(204);
  expect(headers['access-control-allow-origin']).toBe(origin);
  expect(headers['access-control-allow-methods']).toContain('POST');
  expect(headers['access-control-allow-headers']).toBe('authorization, anthropic-version');
  expect(headers['access-control-allow-credentials']).toBeUndefined();
  expect(headers.vary).toMatch(/origin/i);
});

test.each(['http://127.0.0.1:3002', 'https://evil.example', 'null'])(
  'a preflight from %s is told nothing',
  async (other) => {
    const { status, headers } = await send('/api/v1/messages', {
      method: 'OPTIONS',
      headers: { origin: other, 'access-control-request-method': 'POST' },
    });
    expect(status).toBe(403);
    expect(headers['access-control-allow-origin']).toBeUndefined();
    expect(headers['access-control-allow-methods']).toBeUndefined();
  },
);

test('only a listed origin may read an answer, errors included', async () => {
  const key = keys.errors;
  for (const call of [{ key }, {}]) {
    const mine = await send('/api/v1/key-info', { ...call, headers: { origin } });
    expect(mine.headers['access-control-allow-origin']).toBe(origin);
    expect(mine.headers['access-control-expose-headers']).toContain('request-id');
    const headers = { origin: 'https://evil.example' };
    const other = await send('/api/v1/key-info', { ...call, headers });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
  }
});
