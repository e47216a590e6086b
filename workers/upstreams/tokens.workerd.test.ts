// Tokens: when one is exchanged, by whom, and what a token host's faults come to.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { newPair } from '../../tests/support/assertions';
import type { FakeWithTokens } from '../../tests/support/fake-tokens';
import { fakeFederation, fakeFoundry, fakeVertex } from '../../tests/support/fake-tokens';
import { accountOf, asked, callOf, prepared } from '../../tests/workerd/upstream-world';
import type { SnapshotAccount } from '../domain/snapshot';

const START = Date.UTC(2026, 10, 1);
const pair = await newPair();

const MAKERS: readonly (readonly [string, () => FakeWithTokens])[] = [
  ['the Claude API', () => fakeFederation(pair)],
  ['Google Cloud', () => fakeVertex(pair)],
  ['Microsoft Entra', () => fakeFoundry()],
];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: START });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Until what runs behind has come to its end. */
async function settled(fake: FakeWithTokens, exchanges: number): Promise<void> {
  await vi.waitFor(() => expect(fake.exchanges).toHaveLength(exchanges));
  await scheduler.wait(5);
}

async function used(fake: FakeWithTokens, account: SnapshotAccount): Promise<string | null> {
  await asked(fake, account);
  return fake.seen.at(-1)?.headers.get('authorization')?.split('-').at(-1) ?? null;
}

describe.each(MAKERS)('tokens of %s', (_, make) => {
  it('are exchanged once for many calls, also when these come at once', async () => {
    const fake = make();
    const account = accountOf(fake);
    let open: (() => void) | null = null;
    const until = new Promise<void>((resolve) => {
      open = resolve;
    });
    fake.failToken({ kind: 'slow', until });
    const calls = Array.from({ length: 20 }, () => asked(fake, account));
    await settled(fake, 1);
    if (open !== null) (open as () => void)();
    for (const response of await Promise.all(calls)) expect(response.status).toBe(200);
    await asked(fake, account);
    expect(fake.exchanges).toHaveLength(1);
  });

  it('are renewed behind two minutes before their end, and awaited half a minute before', async () => {
    const fake = make();
    const account = accountOf(fake);
    fake.failToken({ kind: 'lives', seconds: 600 }, { kind: 'lives', seconds: 600 });
    expect(await used(fake, account)).toBe('1');
    vi.setSystemTime(START + 479_000);
    expect(await used(fake, account)).toBe('1');
    expect(fake.exchanges).toHaveLength(1);
    vi.setSystemTime(START + 481_000);
    expect(await used(fake, account)).toBe('1');
    await settled(fake, 2);
    expect(await used(fake, account)).toBe('2');
    vi.setSystemTime(START + 481_000 + 575_000);
    expect(await used(fake, account)).toBe('3');
  });

  it('serve on while their renewal fails, which is tried again after five seconds', async () => {
    const fake = make();
    const account = accountOf(fake);
    fake.failToken(
      { kind: 'lives', seconds: 600 },
      { kind: 'down' },
      { kind: 'status', status: 500 },
    );
    await asked(fake, account);
    vi.setSystemTime(START + 490_000);
    expect(await used(fake, account)).toBe('1');
    await settled(fake, 2);
    expect(await used(fake, account)).toBe('1');
    expect(fake.exchanges).toHaveLength(2);
    vi.setSystemTime(START + 496_000);
    expect(await used(fake, account)).toBe('1');
    await settled(fake, 3);
    vi.setSystemTime(START + 502_000);
    expect(await used(fake, account)).toBe('1');
    await settled(fake, 4);
    expect(await used(fake, account)).toBe('2');
  });

  it('that were taken back are not used twice', async () => {
    const fake = make();
    const account = accountOf(fake);
    await asked(fake, account);
    fake.revoke();
    expect((await asked(fake, account)).status).toBe(401);
    expect((await asked(fake, account)).status).toBe(200);
    expect(fake.exchanges).toHaveLength(2);
  });

  it('belong to an account and its credential: a new one has its own', async () => {
    const fake = make();
    const account = accountOf(fake);
    await asked(fake, account);
    const { credential } = account;
    await asked(fake, { ...account, credential: { ...credential, ciphertext: 'changed' } });
    await asked(fake, accountOf(fake));
    expect(fake.exchanges).toHaveLength(3);
  });

  it.each([
    [{ kind: 'down' }, 'token-unreachable'],
    [{ kind: 'status', status: 500 }, 'token-unreachable'],
    [{ kind: 'status', status: 429 }, 'token-unreachable'],
    [{ kind: 'status', status: 302 }, 'token-unreachable'],
    [{ kind: 'status', status: 200, body: '<html>' }, 'token-unreachable'],
    [{ kind: 'status', status: 200, body: '{"access_token":"a b"}' }, 'token-unreachable'],
    [{ kind: 'status', status: 400, body: '{"error":"invalid_grant"}' }, 'token-refused'],
    [{ kind: 'status', status: 401 }, 'token-refused'],
  ] as const)('are not had when the host does %j: nothing is sent', async (fault, why) => {
    const fake = make();
    const account = accountOf(fake);
    fake.failToken(fault);
    const sent = await prepared(fake, account, callOf());
    expect(sent).toMatchObject({ ok: false, error: { why } });
    expect(fake.seen).toEqual([]);
    const secrets = [pair.pem, pair.pem.slice(40, 80), 'entra~canary'];
    for (const secret of secrets) expect(JSON.stringify(sent)).not.toContain(secret);
    expect((await prepared(fake, account, callOf())).ok).toBe(true);
  });

  it('are awaited from one who then leaves for no longer than five seconds', async () => {
    const fake = make();
    const account = accountOf(fake);
    fake.failToken({ kind: 'slow', until: new Promise(() => undefined) });
    void prepared(fake, account, callOf());
    await settled(fake, 1);
    const second = prepared(fake, account, callOf());
    const leaving = new AbortController();
    const third = prepared(fake, account, callOf({ signal: leaving.signal }));
    leaving.abort();
    expect(await third).toMatchObject({ ok: false, error: { why: 'token-unreachable' } });
    vi.setSystemTime(START + 5_001);
    expect((await second).ok).toBe(true);
    expect(fake.exchanges).toHaveLength(2);
  });

  it('are asked for at the vendor’s own host in production, whatever the account says', async () => {
    const fake = make();
    const account = accountOf(fake);
    const spy = vi.mocked(globalThis.fetch);
    await prepared(fake, account, callOf({ environment: 'production' }));
    expect(spy.mock.calls[0]?.[0]).toMatch(
      /^https:\/\/(?:api\.anthropic\.com|oauth2\.googleapis\.com|login\.microsoftonline\.com)\//,
    );
    expect(spy.mock.calls[0]?.[1]).toMatchObject({ redirect: 'manual' });
  });
});

it('a key that cannot sign is the account’s fault', async () => {
  for (const fake of [fakeFederation(pair), fakeVertex(pair)]) {
    const account = accountOf(fake);
    const broken = fake.account.credential.replace(/MII[A-Za-z0-9+/]{20}/, 'MIIAAAA');
    const own = { ...fake, account: { ...fake.account, credential: broken } };
    const sent = await prepared(own, account, callOf());
    expect(sent).toMatchObject({ ok: false, error: { why: 'credential' } });
    expect(fake.exchanges).toEqual([]);
  }
});
