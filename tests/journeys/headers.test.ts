// Headers: what of the client's goes upstream, what of the upstream's comes back, and what neither
// side may ever see of the other.

import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { errorBody, events, json, message, stream } from '../support/answers';
import type { Reply } from '../support/client';
import { ask, send } from '../support/client';
import { FakeUpstream } from '../support/fake-upstream';
import type { Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

const relay = inject('relay');
const key = relay.keys.bytes;
const upstream = new FakeUpstream(relay.accounts);
let owner: Owner;
beforeAll(async () => {
  await upstream.open();
  owner = await ownerOfAccounts();
});
afterAll(async () => {
  await owner.end();
  await upstream.close();
});

const PASSED = {
  accept: 'application/json',
  'anthropic-version': '2026-10-21',
  'anthropic-beta': 'one-2026-01-01, two-2027-01-01,three',
  'anthropic-dangerous-direct-browser-access': 'true',
  'anthropic-of-the-future': 'kept; as = it "is"',
  'user-agent': 'claude-cli/2.1.330 (external, sdk-cli)',
  'x-app': 'cli',
  'x-claude-code-session-id': '00000000-0000-4000-8000-000000000001',
  'x-claude-code-agent-id': 'agent-7',
  'x-claude-code-of-the-future': 'kept',
  'x-stainless-retry-count': '1',
  'x-stainless-timeout': '600',
} as const;

const KEPT_HERE = {
  cookie: 'session=client-canary',
  'proxy-authorization': 'Basic client-canary',
  'x-goog-api-key': 'client-canary',
  'anthropic-workspace-id': 'client-canary',
  'anthropic-user-profile-id': 'client-canary',
  'cf-ipcountry': 'client-canary',
  'cf-access-client-secret': 'client-canary',
  'x-forwarded-for': 'client-canary',
  'x-forwarded-host': 'client-canary',
  'x-real-ip': 'client-canary',
  forwarded: 'for=client-canary',
  via: '1.1 client-canary',
  referer: 'https://client-canary.example/',
  origin: 'https://client-canary.example',
  'x-made-up': 'client-canary',
} as const;

/** What the way itself needs; `cf-worker` is added by the platform and names the Worker. */
const OF_THE_WAY = [
  'host',
  'connection',
  'content-length',
  'content-type',
  'accept-encoding',
  'cf-worker',
];

test.each(['authorization', 'x-api-key', 'both'] as const)(
  'only what an upstream needs goes there, with the key in %s',
  async (where) => {
    const mark = `headers-${where}`;
    upstream.on(mark, json(message('seen')));
    const { status } = await send('/api/v1/messages', {
      body: ask(mark),
      headers: {
        ...PASSED,
        ...KEPT_HERE,
        ...(where === 'x-api-key' ? {} : { authorization: `Bearer ${key}` }),
        ...(where === 'authorization' ? {} : { 'x-api-key': key }),
      },
    });
    expect(status).toBe(200);
    const { headers, rawHeaders, account } = upstream.only(mark);
    expect(headers).toMatchObject(PASSED);
    expect(headers['x-api-key']).toBe(relay.accounts[account].key);
    expect(headers.authorization).toBeUndefined();
    expect(rawHeaders.join('\n')).not.toContain('client-canary');
    expect(rawHeaders.join('\n')).not.toContain(key);
    const known = [...OF_THE_WAY, ...Object.keys(PASSED), 'x-api-key'];
    expect(Object.keys(headers).filter((name) => !known.includes(name))).toEqual([]);
  },
);

test('of two different credentials the one with a relay key’s form counts', async () => {
  upstream.on('two-credentials', json(message('seen')));
  const headers = { 'x-api-key': 'sk-ant-api03-client-canary' };
  const { status } = await send('/v1/messages', { key, body: ask('two-credentials'), headers });
  expect(status).toBe(200);
  expect(upstream.only('two-credentials').rawHeaders.join('\n')).not.toContain('client-canary');
});

const ANSWERS = {
  'a JSON answer': json(message('seen')),
  'a stream': events(stream('seen')),
  'a refusal': json(errorBody('rate_limit_error', 'slowly'), 429, { 'retry-after': '17' }),
  'an overload': json(errorBody('overloaded_error', 'full'), 529),
} as const;

test.each(Object.keys(ANSWERS) as (keyof typeof ANSWERS)[])(
  'the account behind %s does not show in the answer',
  async (kind) => {
    const mark = `account-hidden-${kind.replaceAll(' ', '-')}`;
    // Accounts of its own: a refusal holds them back for whoever comes next.
    const { key, upstream } = await owner.own(['only']);
    await owner.known();
    upstream.on(mark, ANSWERS[kind]);
    const reply = await send('/api/v1/messages', { key, body: ask(mark, { stream: true }) });
    expectNoAccount(reply);
    expect(reply.headers['request-id']).toBe('req_of_the_upstream');
    expect(reply.headers['x-relay-request-id']).toMatch(/^req_[1-9A-HJ-NP-Za-km-z]{22}$/);
    expect(reply.headers['x-open-list']).toBe('kept');
    if (kind === 'a refusal') expect(reply.headers['retry-after']).toBe('17');
  },
);

test('the account does not show in counts and lists either', async () => {
  upstream.on('hidden-count', json({ input_tokens: 1 }));
  upstream.on('/v1/models', json({ data: [], has_more: false, first_id: null, last_id: null }));
  expectNoAccount(await send('/v1/messages/count_tokens', { key, body: ask('hidden-count') }));
  expectNoAccount(await send('/v1/models', { key }));
});

function expectNoAccount({ headers }: Reply): void {
  const shown = JSON.stringify(headers);
  expect(shown).not.toContain('canary');
  const names = Object.keys(headers).filter((name) =>
    /^(?:anthropic-(?:organization|workspace|ratelimit|priority|fast)|x-ratelimit|cf-|set-cookie)/.test(
      name,
    ),
  );
  expect(names).toEqual([]);
}
