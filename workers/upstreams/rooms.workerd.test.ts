// Every kind of account against its stand-in: credentials, addresses, bodies, answers.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { newPair } from '../../tests/support/assertions';
import { BEDROCK_EVENTS, fakeAws } from '../../tests/support/fake-bedrock';
import type { FakeKind } from '../../tests/support/fake-kind';
import { EVENTS, MESSAGE, sseOf } from '../../tests/support/fake-kind';
import { fakeFederation, fakeFoundry, fakeVertex } from '../../tests/support/fake-tokens';
import {
  accountOf,
  asked,
  callOf,
  errorOf,
  PLAIN,
  prepared,
} from '../../tests/workerd/upstream-world';
import { upstreamOf } from './registry';

const pair = await newPair();

/** Every way in, by name. */
const DOORS: readonly (readonly [string, () => FakeKind])[] = [
  ['anthropic, federated, PEM', () => fakeFederation(pair)],
  ['anthropic, federated, JWK', () => fakeFederation(pair, 'jwk')],
  ['aws, signed', () => fakeAws('aws')],
  ['aws, with a key', () => fakeAws('aws', 'key')],
  ['bedrock, signed', () => fakeAws('bedrock')],
  ['bedrock, with a key', () => fakeAws('bedrock', 'key')],
  ['bedrock-mantle, signed', () => fakeAws('bedrock-mantle')],
  ['bedrock-mantle, with a key', () => fakeAws('bedrock-mantle', 'key')],
  ['vertex', () => fakeVertex(pair)],
  ['foundry, with a key', () => fakeFoundry('key')],
  ['foundry, with Entra', () => fakeFoundry()],
];

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each(DOORS)('an account of %s', (_, make) => {
  it('answers a message, with the client’s own credentials kept here', async () => {
    const fake = make();
    const response = await asked(fake, accountOf(fake), { headers: { 'anthropic-beta': 'a, b' } });
    expect([response.status, await response.json()]).toEqual([200, MESSAGE]);
    const [call] = fake.seen;
    expect(fake.seen).toHaveLength(1);
    const sent = JSON.stringify([...(call?.headers ?? [])]);
    expect(sent).not.toContain('cr_relay_key');
    expect(sent).not.toContain('session=client');
    expect(sent).not.toContain('wrkspc_of_the_client');
    expect(new TextDecoder().decode(call?.bytes)).toContain(
      '"max_tokens":16,"messages":[{"role":"user","content":"Hello \\"model\\": there"}]',
    );
  });

  it('streams a message in Anthropic’s events', async () => {
    const fake = make();
    const response = await asked(fake, accountOf(fake), { body: { ...PLAIN, stream: true } });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const events = fake.account.kind === 'bedrock' ? BEDROCK_EVENTS : EVENTS;
    expect(await response.text()).toBe(sseOf(events));
  });

  it('counts tokens if its kind can', async () => {
    const fake = make();
    const { operations } = upstreamOf(fake.account.kind);
    expect(operations.has('count_tokens')).toBe(fake.account.kind !== 'bedrock');
    if (!operations.has('count_tokens')) {
      const sent = await prepared(fake, accountOf(fake), callOf({ operation: 'count_tokens' }));
      expect(sent).toMatchObject({ ok: false, error: { why: 'request' } });
      return;
    }
    const response = await asked(fake, accountOf(fake), { operation: 'count_tokens' });
    expect(await response.json()).toEqual({ input_tokens: 21 });
  });

  it('is called by the account’s own name of the model', async () => {
    const fake = make();
    const isBedrock = fake.account.kind.startsWith('bedrock');
    const name = isBedrock ? 'anthropic.claude-own' : 'claude-own';
    const modelNames = { 'claude-opus-4-6': name };
    await asked(fake, accountOf(fake, { modelNames }));
    const [call] = fake.seen;
    const where = decodeURIComponent(`${call?.url.pathname} ${String(call?.json['model'])}`);
    expect(where).toContain(name);
    expect(where).not.toContain('claude-opus-4-6');
  });

  it('is sent a packed body unpacked where something must be changed in it', async () => {
    const fake = make();
    const packed = new Uint8Array([31, 139, 8, 0]);
    const call = callOf({ packed, headers: { 'content-encoding': 'gzip' } });
    const sent = await prepared(fake, accountOf(fake), call);
    if (!sent.ok) throw new Error(sent.error.detail);
    const isUntouched = sent.value.body === packed;
    expect(isUntouched).toBe(['anthropic', 'aws', 'foundry'].includes(fake.account.kind));
    expect(sent.value.headers.has('content-encoding')).toBe(isUntouched);
  });

  it('with another’s credential sends nothing', async () => {
    const fake = make();
    const account = accountOf(fake);
    const wrong = { ...fake, account: { ...fake.account, credential: '{"type":"other"}' } };
    const sent = await prepared(wrong, account, callOf());
    expect(sent).toMatchObject({ ok: false, error: { why: 'credential' } });
    expect(fake.seen).toEqual([]);
    expect(fake.exchanges).toEqual([]);
  });

  it('refuses a body in which the model stands twice, where it has to be changed', async () => {
    const fake = make();
    const body = '{"model":"a","mod\\u0065l":"claude-opus-4-6","max_tokens":1,"messages":[]}';
    const account = accountOf(fake, { modelNames: { 'claude-opus-4-6': 'anthropic.claude-x' } });
    const sent = await prepared(fake, account, callOf({ body }));
    if (sent.ok) {
      // Where the model stands in the address, none is left in the body.
      expect(new TextDecoder().decode(sent.value.body ?? new Uint8Array())).not.toContain('"a"');
      expect(['bedrock', 'vertex']).toContain(fake.account.kind);
    } else {
      expect(sent.error).toEqual({ why: 'request', detail: 'model: must be given exactly once' });
    }
  });
});

describe('what is special to a kind', () => {
  it('a plain call of the Claude API passes the very bytes that came', async () => {
    const fake = fakeFederation(pair);
    const call = callOf({ search: '?beta=true' });
    const account = { ...accountOf(fake), kind: 'anthropic-compatible' as const };
    const own = { ...fake, account: { ...fake.account, credential: 'sk-ant-own' } };
    const sent = await prepared(own, account, call);
    if (!sent.ok) throw new Error(sent.error.detail);
    expect(sent.value.body).toBe(call.body?.bytes);
    expect(sent.value.url).toBe('http://127.0.0.1:9/v1/messages?beta=true');
    expect(sent.value.headers.get('x-api-key')).toBe('sk-ant-own');
    expect(sent.value.headers.has('authorization')).toBe(false);
  });

  it('a federated call bears the mark of its token beside the client’s betas, once', async () => {
    const fake = fakeFederation(pair);
    const account = accountOf(fake);
    const headers = { 'anthropic-beta': 'one-2026-01-01, oauth-2025-04-20' };
    await asked(fake, account, { headers });
    await asked(fake, account, { headers: { 'anthropic-beta': 'one-2026-01-01' } });
    await asked(fake, account);
    expect(fake.seen.map((call) => call.headers.get('anthropic-beta'))).toEqual([
      'one-2026-01-01, oauth-2025-04-20',
      'one-2026-01-01,oauth-2025-04-20',
      'oauth-2025-04-20',
    ]);
  });

  it('Bedrock is told version and betas in the body, without what it does not have', async () => {
    const fake = fakeAws('bedrock');
    const account = accountOf(fake);
    const betas = 'claude-code-20250219, advanced-tool-use-2025-11-20, request-tags-2026-08-21';
    const body = { tags: ['a'], ...PLAIN, anthropic_beta: ['x'], model: 'claude-sonnet-4-5' };
    const headers = { 'anthropic-beta': betas, 'anthropic-version': '2026-10-21' };
    await asked(fake, account, { body, headers });
    await asked(fake, account, { body: { ...PLAIN, model: 'claude-opus-5' }, headers });
    expect(fake.seen.map(({ url, json }) => [url.pathname, json])).toEqual([
      [
        '/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke',
        {
          max_tokens: 16,
          messages: PLAIN.messages,
          anthropic_version: 'bedrock-2023-05-31',
          anthropic_beta: ['claude-code-20250219', 'tool-search-tool-2025-10-19'],
        },
      ],
      [
        '/model/eu.anthropic.claude-opus-5/invoke',
        {
          max_tokens: 16,
          messages: PLAIN.messages,
          anthropic_version: '2026-10-21',
          anthropic_beta: ['claude-code-20250219', 'tool-search-tool-2025-10-19'],
        },
      ],
    ]);
  });

  it('Google Cloud is told the version in the body and the betas in the header', async () => {
    const fake = fakeVertex(pair);
    const headers = { 'anthropic-beta': 'a-2026-01-01, fast-mode-2026-02-01' };
    await asked(fake, accountOf(fake), {
      headers,
      body: { ...PLAIN, tags: [] },
      search: '?beta=1',
    });
    const [call] = fake.seen;
    expect(call?.json).toEqual({
      max_tokens: 16,
      messages: PLAIN.messages,
      anthropic_version: 'vertex-2023-10-16',
    });
    expect(call?.headers.get('anthropic-beta')).toBe('a-2026-01-01');
  });

  it('Google Cloud counts with the model in the body, by its dated name', async () => {
    const fake = fakeVertex(pair, 'global');
    const body = { ...PLAIN, model: 'claude-haiku-4-5' };
    await asked(fake, accountOf(fake), { operation: 'count_tokens', body });
    expect(fake.seen[0]?.json['model']).toBe('claude-haiku-4-5@20251001');
  });

  it('an account without its place or workspace sends nothing', async () => {
    const google = fakeVertex(pair);
    for (const region of [null, 'us/../x', 'US', '']) {
      const sent = await prepared(google, accountOf(google, { region }), callOf());
      expect(sent).toMatchObject({ ok: false, error: { why: 'credential' } });
    }
    const amazon = fakeAws('aws');
    const sent = await prepared(amazon, accountOf(amazon, { workspace: null }), callOf());
    expect(sent).toMatchObject({ ok: false, error: { why: 'credential' } });
  });

  it.each(['..', '../../x', '', '.', '\u0000', ' x'])(
    'no model named %j is put into an address',
    async (model) => {
      for (const fake of [fakeAws('bedrock'), fakeVertex(pair)]) {
        const call = callOf({ body: { ...PLAIN, model } });
        const sent = await prepared(fake, accountOf(fake), call);
        expect(sent).toMatchObject({ ok: false, error: { why: 'request' } });
      }
    },
  );

  it('a model’s name cannot leave its place in an address', async () => {
    const fake = fakeAws('bedrock');
    const body = { ...PLAIN, model: 'x/../../y?z#a' };
    const sent = await prepared(fake, accountOf(fake), callOf({ body }));
    if (!sent.ok) throw new Error(sent.error.detail);
    expect(new URL(sent.value.url).pathname).toBe('/model/x%2F..%2F..%2Fy%3Fz%23a/invoke');
  });

  it('the models of Claude Platform on AWS are asked with its workspace', async () => {
    const fake = fakeAws('aws');
    const response = await asked(fake, accountOf(fake), {
      operation: 'models',
      search: '?limit=5',
    });
    expect(response.status).toBe(200);
    expect(fake.seen[0]?.url.pathname).toBe('/v1/models');
  });

  it('a signature that is not right is the account’s fault, and tells nothing of it', async () => {
    const fake = fakeAws('bedrock');
    const response = await asked(fake, accountOf(fake, { region: 'us-east-1' }));
    expect(await errorOf(response)).toEqual([
      401,
      'error',
      'authentication_error',
      'The upstream refused the credential of its account.',
    ]);
  });
});
