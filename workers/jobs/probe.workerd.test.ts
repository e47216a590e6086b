// The cron's probes and sums, with the real Pool, an account that the test plays, and the rollups
// of the test's own D1.

import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { markOf as markBeside, reportOf, tallyOf } from '../../tests/support/health';
import { NOW } from '../../tests/support/ledger';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { AccountState, Mark, Tally } from '../domain/health/calls';
import { findPrice } from '../domain/pricing/find';
import type { Snapshot, SnapshotAccount } from '../domain/snapshot';
import { providerOf } from '../domain/snapshot';
import { poolOf } from '../platform/objects';
import { probeAccounts } from './probe';
import { correctSpend } from './spend';

useFakeDate();

const MODEL = 'claude-opus-5-5';
let snapshot: Snapshot;
let account: SnapshotAccount;
let family = '';
let tests = 0;
let reports = 0;
/** Models that the account was called for. */
let called: string[] = [];

beforeEach(async () => {
  const answer = await poolOf(env).snapshot(null);
  if (!answer.ok || answer.value === 'unchanged') throw new Error('no snapshot');
  const [first] = answer.value.accounts;
  if (first === undefined) throw new Error('no account');
  snapshot = answer.value;
  account = first;
  family = findPrice(snapshot.catalogue, MODEL, NOW)?.family ?? '';
  called = [];
  // What the test before left is forgotten, and what this one says is later: Pool outlives it.
  tests += 1;
  later(tests * 120_000);
  await poolOf(env).reset({ accountId: account.id, actor: 'test' });
  later(1_000);
});

/** The account answers so from now on. */
function answers(make: () => Response | Promise<Response>): void {
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (_url, init) => {
    const body = new TextDecoder().decode(init?.body as Uint8Array);
    const { model, max_tokens: most } = JSON.parse(body) as { model: string; max_tokens: number };
    expect(most).toBe(1);
    expect(new Headers(init?.headers).get('x-api-key')).toBe('sk-test-upstream');
    called.push(model);
    return make();
  });
}

const GOOD = JSON.stringify({ type: 'message', usage: { input_tokens: 1, output_tokens: 1 } });
const good = () => new Response(GOOD);

function refusal(status: number, type: string, headers: Record<string, string> = {}): Response {
  const error = { type, message: 'no' };
  return new Response(JSON.stringify({ type: 'error', error }), { status, headers });
}

async function tell(differs: { marks?: readonly Mark[]; tallies?: readonly Tally[] }) {
  reports += 1;
  await poolOf(env).report(reportOf(1, { isolate: `probe-test-${reports}`, ...differs }));
}

function markOf(differs: Partial<Mark> = {}): Mark {
  const subject = { of: 'account', accountId: account.id } as const;
  return markBeside({ subject, since: Date.now(), ...differs });
}

/** So many bad calls of the account for MODEL. */
function tallyNow(differs: Partial<Tally>): Tally {
  const who = { accountId: account.id, provider: providerOf(account), family, model: MODEL };
  return tallyOf({ ...who, ...differs });
}

async function state(): Promise<AccountState> {
  const states = await poolOf(env).states();
  const found = states.find(({ accountId }) => accountId === account.id);
  if (found === undefined) throw new Error('the account has gone');
  return found;
}

async function round(): Promise<AccountState> {
  await probeAccounts(env, Date.now());
  return state();
}

describe('an account that is out', () => {
  it('is called once, for one token, and is ready again when it answers', async () => {
    answers(good);
    await tell({ marks: [markOf()] });
    expect(await round()).toMatchObject({ state: 'ready', marks: [] });
    expect(called).toHaveLength(1);
    await round();
    expect(called).toHaveLength(1);
  });

  it.each([
    ['refuses the credential', () => refusal(401, 'authentication_error')],
    ['fails', () => refusal(500, 'api_error')],
    ['cannot be reached', async () => Promise.reject(new Error('refused'))],
    ['sends elsewhere', () => new Response(null, { status: 302, headers: { location: '/' } })],
    ['answers with a page', () => new Response('<html></html>')],
    ['says 200 and means 401', () => refusal(200, 'authentication_error')],
  ])('stays out while it %s', async (_, make) => {
    answers(make);
    const mark = markOf();
    await tell({ marks: [mark] });
    expect(await round()).toMatchObject({ state: 'out', marks: [mark] });
    later(4_999);
    await round();
    expect(called).toHaveLength(1);
    later(1);
    await round();
    expect(called).toHaveLength(2);
  });

  it('is ready, but cooling, when it knows who asks and has had enough', async () => {
    answers(() => refusal(429, 'rate_limit_error', { 'retry-after': '17' }));
    await tell({ marks: [markOf()] });
    const { marks, state: whole } = await round();
    expect(whole).toBe('ready');
    expect(marks).toMatchObject([
      { subject: { of: 'family' }, state: 'cooling', until: Date.now() + 17_000 },
    ]);
    await round();
    expect(called).toHaveLength(1);
  });

  it('for one model is called for that model, and stays so while it refuses', async () => {
    const subject = { of: 'model', accountId: account.id, model: MODEL } as const;
    const mark = markOf({ subject, until: Date.now() + 600_000 });
    await tell({ marks: [mark] });
    answers(() => refusal(403, 'permission_error'));
    expect((await round()).marks).toHaveLength(1);
    later(60_000);
    answers(good);
    expect((await round()).marks).toEqual([]);
    expect(called).toEqual([MODEL, MODEL]);
  });
});

describe('a breaker without traffic', () => {
  it('is not probed while it is open, and closes with three good probes', async () => {
    answers(good);
    await tell({ tallies: [tallyNow({ failures: 5 })] });
    later(29_999);
    expect((await round()).marks).toMatchObject([{ state: 'open', reason: 'failing' }]);
    expect(called).toEqual([]);
    later(1);
    for (const left of [1, 1, 0]) expect((await round()).marks).toHaveLength(left);
    expect(called).toHaveLength(3);
  });

  it('of everybody’s overload opens anew when the probe says overloaded', async () => {
    answers(() => refusal(529, 'overloaded_error'));
    await tell({ tallies: [tallyNow({ overloads: 5 })] });
    later(30_000);
    const { marks } = await round();
    expect(marks).toMatchObject([{ reason: 'overloaded', until: Date.now() + 30_000 }]);
    expect(called).toEqual([MODEL]);
  });
});

describe('a round with nothing to do', () => {
  it('calls nobody, also for an account that cools down', async () => {
    answers(good);
    await round();
    await tell({ marks: [markOf({ state: 'cooling', until: Date.now() + 60_000 })] });
    await round();
    expect(called).toEqual([]);
  });
});

describe('the sums', () => {
  async function cost(day: number, accountNanos: number, absorbedNanos: number): Promise<void> {
    await env.DB.prepare('INSERT INTO account_days VALUES (?, ?, 1, 0, 0, 0, ?, ?)')
      .bind(day, account.id, absorbedNanos, accountNanos)
      .run();
  }

  async function loads(): Promise<readonly number[]> {
    const { load } = await state();
    return [load.dayNanos, load.monthNanos];
  }

  it('bring what accounts have cost today and this month every five minutes', async () => {
    await cost(Date.UTC(2035, 10, 23), 50, 2);
    await cost(Date.UTC(2035, 10, 22), 300, 0);
    await cost(Date.UTC(2035, 9, 31), 1_000, 0);
    await correctSpend(env, NOW + 60_000);
    expect(await loads()).toEqual([0, 0]);
    await correctSpend(env, NOW + 5 * 60_000);
    expect(await loads()).toEqual([52, 352]);
  });
});
