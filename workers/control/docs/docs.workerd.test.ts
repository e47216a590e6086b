import { describe, expect, it } from 'vitest';
import { call } from '../../../tests/workerd/control-world';
import { GROUPS } from '../contract/all';
import { ROUTES } from '../routes';

const described = GROUPS.flatMap(({ endpoints }) => Object.values(endpoints));

describe('the description of the API', () => {
  it('is of the routes that exist: every endpoint has a handler, and the reverse', () => {
    const bound = ROUTES.map(({ endpoint }) => endpoint.name);
    expect(described.map(({ name }) => name).toSorted()).toEqual(bound.toSorted());
    expect(new Set(bound).size).toBe(bound.length);
  });

  it('is answered to anybody as JSON, with every route of the control plane', async () => {
    const response = await call('GET', '/openapi.json');
    expect(response.headers.get('content-type')).toContain('application/json');
    const { openapi, paths } = await response.json<{
      openapi: string;
      paths: Record<string, Record<string, { operationId: string }>>;
    }>();
    expect(openapi).toBe('3.1.0');
    for (const { name, path, method } of described) {
      expect(paths[path]?.[method.toLowerCase()]?.operationId).toBe(name);
    }
  });
});

describe('its page', () => {
  it('runs its own script and style, by their hashes, and nothing else', async () => {
    const response = await call('GET', '/api-docs');
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    const html = await response.text();
    for (const name of ['script', 'style']) {
      const [, text = ''] = new RegExp(`<${name}>([^]*?)</${name}>`).exec(html) ?? [];
      expect(text.length).toBeGreaterThan(1_000);
      const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
      const hash = btoa(String.fromCharCode(...new Uint8Array(digest)));
      expect(policy).toContain(`${name}-src 'sha256-${hash}'`);
    }
    expect(html).not.toMatch(/\s(?:src|on\w+|style)=|https?:\/\//);
  });

  it('is changed by nobody: other methods are 405', async () => {
    for (const path of ['/api-docs', '/openapi.json']) {
      expect((await call('POST', path)).status).toBe(405);
    }
  });
});
