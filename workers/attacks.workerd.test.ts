// Attacks that this field has seen, made on every route there is: a new route is attacked by
// itself.

import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type * as z from 'zod/mini';
import { newApiKey, newPerson, newServiceToken, ORIGIN } from '../tests/workerd/control-world';
import { withCredit } from '../tests/workerd/credit-world';
import {
  bearer,
  callApp,
  ENDPOINTS,
  filled,
  refusalOf,
  tables,
} from '../tests/workerd/every-route';

afterEach(() => vi.restoreAllMocks());

const admin = await newPerson({ role: 'admin' });
const user = await newPerson();

/** Whoever is let in at a route. */
function tokenFor({ access }: (typeof ENDPOINTS)[number]): string {
  if (access.by === 'secret') {
    return access.secret === 'setup'
      ? 'test-setup-secret-of-length'
      : 'test-metrics-token-of-length';
  }
  return access.by === 'person' ? user.token : admin.token;
}

const SQL = [
  "' OR '1'='1",
  "'; DROP TABLE users; --",
  '" OR ""="',
  '1) UNION SELECT hash FROM keys --',
  '%',
  '_',
  '%00',
  '\u0000',
  '../../admin/users',
  '{{7*7}}',
  '__proto__',
  'constructor',
  '\u{1F4A3}'.repeat(40),
];
/** Of a route: these end or change the very login that the attacks need, or stay open. */
const LEFT_OUT = ['auth.logout', 'auth.logout-all', 'live.watch'];

describe('SQL and other strange texts', () => {
  it('as a bearer open nothing, and break nothing', async () => {
    const before = await tables();
    // What a header can hold; a key and a service token with something in them too.
    const texts = [
      ...SQL.filter((text) => /^[\x20-\x7e]+$/.test(text)),
      `svc_' OR 1=1--_x`,
      "cr_1'--",
    ];
    const guarded = ENDPOINTS.filter(({ access }) => access.by !== 'anyone');
    for (const { method, path, name } of guarded) {
      for (const text of texts) {
        const body = method === 'GET' ? {} : { body: {} };
        const sent = { headers: { authorization: `Bearer ${text}` }, ...body };
        const { status } = await callApp(method, filled(path, 'x'), sent);
        expect([name, text, status]).toEqual([name, text, 401]);
      }
    }
    expect(await tables()).toEqual(before);
  });

  it('as an id are nobody’s: 404 or 400, and nothing changes', async () => {
    const before = await tables();
    const named = ENDPOINTS.filter(
      ({ path, name }) => path.includes('{') && !LEFT_OUT.includes(name),
    );
    expect(named.length).toBeGreaterThan(20);
    for (const endpoint of named) {
      for (const text of SQL) {
        const { method, path, name } = endpoint;
        const body = method === 'GET' ? {} : { body: {} };
        const headers = bearer(tokenFor(endpoint));
        const { status } = await callApp(method, filled(path, text), { headers, ...body });
        // An alias of a model may be any text; that it is none is not looked at when it goes.
        const wanted = name === 'admin.prices.deleteAlias' ? [204, 400, 404] : [400, 404];
        expect([name, text, wanted]).toEqual([name, text, expect.arrayContaining([status])]);
      }
    }
    expect(withoutAudit(await tables())).toEqual(withoutAudit(before));
  });

  it('in every field of every query are refused, or are words that nothing holds', async () => {
    const before = await tables();
    for (const endpoint of ENDPOINTS.filter(({ query }) => query !== undefined)) {
      const { method, path, name, query } = endpoint;
      if (method !== 'GET') continue;
      for (const field of namesOf(query)) {
        for (const text of SQL) {
          const address = `${filled(path, user.userId)}?${new URLSearchParams({ [field]: text })}`;
          const response = await callApp(method, address, { headers: bearer(tokenFor(endpoint)) });
          expect([name, field, text, response.status]).toEqual([
            name,
            field,
            text,
            expect.toSatisfy((status: number) => status < 500),
          ]);
          if (response.status !== 200) continue;
          const strangers = (await itemsOf(response)).filter((one) => !one.includes(text));
          expect([name, field, text, strangers]).toEqual([name, field, text, []]);
        }
      }
    }
    expect(await tables()).toEqual(before);
  });

  it('in a search mean themselves: % and _ are no jokers', async () => {
    for (const email of ['a_b%c@example.com', 'axbc@example.com']) await newPerson({ email });
    for (const [search, found] of [
      ['%', 1],
      ['a_b', 1],
      ['A_B%', 1],
      ['axb', 1],
      ['x%b', 0],
      ['\\', 0],
    ] as const) {
      const address = `/admin/users?${new URLSearchParams({ search })}`;
      const items = await itemsOf(await callApp('GET', address, { headers: bearer(admin.token) }));
      expect([search, items.length]).toEqual([search, found]);
    }
  });
});

describe('fields that nobody may set', () => {
  const FIELDS = {
    role: 'admin',
    balance: 1_000_000,
    balanceNanos: 1_000_000,
    userId: admin.userId,
    walletId: admin.walletId,
    keyHash: 'x'.repeat(43),
    hash: 'x'.repeat(43),
    version: 9_007_199_254_740_991,
    createdAt: 0,
    isAdmin: true,
    scopes: ['write:users'],
    constructor: { prototype: {} },
    prototype: {},
  };

  it('are refused by name in every body, and nothing changes', async () => {
    const before = await tables();
    let tried = 0;
    for (const endpoint of ENDPOINTS) {
      const { method, path, name, body } = endpoint;
      if (body === undefined) continue;
      const own = namesOf(body);
      for (const [field, value] of Object.entries(FIELDS)) {
        if (own.includes(field)) continue;
        tried += 1;
        const headers = bearer(tokenFor(endpoint));
        const sent = { headers, body: { [field]: value } };
        const response = await callApp(method, filled(path, user.userId), sent);
        const answer = await response.json<{ error: { fields?: Record<string, string> } }>();
        expect([name, field, response.status]).toEqual([name, field, 400]);
        expect([name, answer.error.fields?.[field]]).toEqual([name, 'is not known']);
      }
    }
    expect(tried).toBeGreaterThan(200);
    expect(await tables()).toEqual(before);
  });

  it('are not set by way of __proto__ either', async () => {
    const before = await tables();
    for (const endpoint of ENDPOINTS.filter(({ body }) => body !== undefined)) {
      const { method, path, name } = endpoint;
      for (const body of ['{"__proto__":{"role":"admin"}}', '{"a":{"__proto__":{"b":1}}}']) {
        const headers = { ...bearer(tokenFor(endpoint)), 'content-type': 'application/json' };
        const response = await callApp(method, filled(path, user.userId), { headers, body });
        expect([name, response.status]).toEqual([name, 400]);
      }
    }
    expect(Reflect.get({}, 'role')).toBeUndefined();
    expect(await tables()).toEqual(before);
  });
});

describe('an installation whose secrets were never set', () => {
  const HOLES: readonly Readonly<Record<string, string>>[] = [
    { SESSION_SECRETS: '', METRICS_TOKEN: '', SETUP_SECRET: '' },
    { SESSION_SECRETS: '{}' },
    { SESSION_SECRETS: '{"1":""}' },
    { KEY_TAG_SECRETS: '' },
    { KEY_TAG_SECRETS: '{"1":""}' },
    { MASTER_KEYS: '' },
    { CONVERSATION_SECRET: '' },
    { METRICS_TOKEN: 'short', SETUP_SECRET: 'short' },
  ];

  it.each(HOLES)('opens no route with %o', async (hole) => {
    const bindings = { ...env, ...hole } as Env;
    // Words that are as empty as the secrets.
    for (const token of [user.token, admin.token, '', 'undefined', 'null', '{}', 'short']) {
      for (const { method, path, name, access } of ENDPOINTS) {
        if (access.by === 'anyone') continue;
        const body = method === 'GET' ? {} : { body: {} };
        const sent = { headers: { authorization: `Bearer ${token}` }, ...body, bindings };
        const { status } = await callApp(method, filled(path, 'x'), sent);
        expect([name, status]).toEqual([name, expect.toSatisfy(isShut)]);
      }
    }
  });

  /** Not opened; where only logins lack their secret the other doors stand as they stood. */
  function isShut(status: number): boolean {
    return [401, 403, 404, 500, 503].includes(status);
  }

  it('says so to those who would be let in: 503, and 404 at the door of the setup', async () => {
    const bindings = { ...env, SESSION_SECRETS: '', METRICS_TOKEN: '', SETUP_SECRET: '' };
    for (const { method, path, name, access } of ENDPOINTS) {
      if (access.by === 'anyone') continue;
      const body = method === 'GET' ? {} : { body: {} };
      const sent = { headers: bearer(admin.token), ...body, bindings };
      const { status } = await callApp(method, filled(path, 'x'), sent);
      const isSetup = access.by === 'secret' && access.secret === 'setup';
      expect([name, status]).toEqual([name, isSetup ? 404 : 503]);
    }
  });
});

describe('a call that comes from another site', () => {
  const SITES: readonly Readonly<Record<string, string>>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: ORIGIN.replace('https', 'http') },
    { origin: `${ORIGIN}.evil.example` },
    { origin: `${ORIGIN}:8443` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    // A form of old: neither says where it comes from, but the browser's cookie is there.
    {},
  ];
  const TYPES = ['application/json', 'text/plain', 'application/x-www-form-urlencoded'];
  const unsafe = ENDPOINTS.filter(({ method, name }) => method !== 'GET' || name === 'live.watch');

  it(`is refused at ${unsafe.length} routes, whatever its content type`, async () => {
    const before = await tables();
    for (const endpoint of unsafe) {
      const { method, path, name } = endpoint;
      for (const site of SITES) {
        for (const type of TYPES) {
          const cookie = `__Host-access=${tokenFor(endpoint)}`;
          const socket: Record<string, string> = method === 'GET' ? { upgrade: 'websocket' } : {};
          const headers = { cookie, 'content-type': type, ...site, ...socket };
          const body = method === 'GET' ? {} : { body: '{}' };
          const response = await callApp(method, filled(path, 'x'), { headers, ...body });
          expect([name, site, response.status]).toEqual([name, site, 403]);
          expect(await refusalOf(response)).toBe('origin-not-allowed');
        }
      }
    }
    expect(await tables()).toEqual(before);
  });

  it('is none when it comes from the own origin', async () => {
    for (const endpoint of unsafe.filter(({ access }) => access.by !== 'secret')) {
      const headers = { cookie: `__Host-access=${tokenFor(endpoint)}`, origin: ORIGIN };
      const isSocket = endpoint.method === 'GET';
      const body = isSocket ? {} : { body: { notKnown: 1 } };
      if (LEFT_OUT.includes(endpoint.name)) continue;
      const response = await callApp(endpoint.method, filled(endpoint.path, 'x'), {
        headers,
        ...body,
      });
      expect(await refusalOf(response)).not.toBe('origin-not-allowed');
    }
  });
});

describe('what a key is restricted to', () => {
  const TRUE_PATHS = ['/v1/messages', '/api/v1/messages', '/v1/messages?beta=true'];
  const ODD_PATHS = [
    '//v1/messages',
    '/api//v1/messages',
    '/V1/messages',
    '/API/v1/messages',
    '/api/api/v1/messages',
    '/v1/messages/',
    '/v1%2Fmessages',
    '/v1/./messages',
    '/api/../v1/messages',
    '/api/v1/messages;x=1',
    '/v1/messages%00',
  ];
  const bodyOf = (model: string) => ({
    model,
    max_tokens: 8,
    messages: [{ role: 'user', content: 'hello' }],
  });

  it.each([
    ['a model', { models: { allow: ['claude-haiku-*'] } }, { model: 'claude-opus-5-5' }],
    ['an address', { addresses: ['203.0.113.0/24'] }, { model: 'claude-haiku-5-5' }],
    ['a client', { clients: ['claude-cli/*'] }, { model: 'claude-haiku-5-5' }],
  ])('holds at every path, for %s', async (_name, limits, { model }) => {
    const upstream = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => done());
    const owner = await withCredit();
    const { keyId, key } = await newApiKey(owner);
    const changed = await owner.call('PATCH', `/api/tokens/${keyId}`, { body: { limits } });
    expect(changed.status).toBe(200);
    for (const path of [...TRUE_PATHS, ...ODD_PATHS]) {
      for (const headers of [bearer(key), { 'x-api-key': key }]) {
        const response = await callApp('POST', path, { headers, body: bodyOf(model) });
        expect([path, response.status]).toEqual([
          path,
          expect.toSatisfy((code: number) => code >= 400),
        ]);
      }
    }
    const headers = { ...bearer(owner.token), 'x-relay-key': keyId };
    const played = await callApp('POST', '/api/relay/messages', { headers, body: bodyOf(model) });
    expect(played.status).toBe(403);
    expect(upstream).not.toHaveBeenCalled();

    // What it does allow goes through at the true paths: the refusals were about the restriction.
    const allowed = {
      'cf-connecting-ip': '203.0.113.7',
      'user-agent': 'claude-cli/2.0',
      ...bearer(key),
    };
    for (const path of TRUE_PATHS) {
      const sent = { headers: allowed, body: bodyOf('claude-haiku-5-5') };
      expect([path, (await callApp('POST', path, sent)).status]).toEqual([path, 200]);
    }
  });

  it('is not lifted by a token of the other plane', async () => {
    const service = await newServiceToken(['write:users', 'write:keys']);
    for (const token of [admin.token, service]) {
      const sent = { headers: bearer(token), body: bodyOf('claude-haiku-5-5') };
      expect((await callApp('POST', '/v1/messages', sent)).status).toBe(401);
    }
  });
});

/** The names of an object schema's fields. */
function namesOf(schema: z.ZodMiniType | undefined): string[] {
  const shape = (schema as { shape?: object } | undefined)?.shape;
  return shape === undefined ? [] : Object.keys(shape);
}

/** Each item of a list as text; what is no list has none. */
async function itemsOf(response: Response): Promise<string[]> {
  const text = await response.text();
  if (!text.startsWith('{')) return [];
  const { items = [] } = JSON.parse(text) as { items?: unknown[] };
  return items.map((item) => JSON.stringify(item));
}

function withoutAudit({ audit: _audit, ...others }: Readonly<Record<string, string>>) {
  return others;
}

/** What an upstream says, with its length as the network gives it. */
function done(): Response {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = { id: 'msg_1', type: 'message', role: 'assistant', content: [], usage };
  const text = JSON.stringify({ ...message, model: 'claude-haiku-5-5', stop_reason: 'end_turn' });
  const headers = { 'content-type': 'application/json', 'content-length': String(text.length) };
  return new Response(text, { headers });
}
