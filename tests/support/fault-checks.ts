// Sends a request into each fault of a table: once with an account beside it that does well, once
// with none. What the client is told, what the ledger has, what is held against the account and who
// was called are asserted for each.

import { expect } from 'vitest';
import type { AccountWithState } from '../../workers/control/contract/account-fields';
import { events, json, message, stream, USAGE_NANOS } from './answers';
import type { Reply } from './client';
import { ask, eventually, send } from './client';
import type { Fault, Form, Held } from './faults';
import type { Own, Owner } from './own-accounts';

/** Whose streams hang for a short time only (`header_timeouts`). */
const IMPATIENT_MODEL = 'claude-haiku-4-5';
/** A busy machine needs as long for a good answer. */
const HEADERS_MS = 500;

/** A fault in one form, with accounts of its own. */
export interface Case {
  readonly what: string;
  readonly fault: Fault;
  readonly form: Form;
  /** A bad and a good account. */
  readonly pair: Own;
  /** A bad one. */
  readonly lone: Own;
}

/** Lets streams of the model that is asked for hang for a short time only. */
export async function shortenHangs({ admin }: Owner): Promise<void> {
  const value = { [IMPATIENT_MODEL]: HEADERS_MS };
  await admin.call('PUT', '/admin/settings/header_timeouts', { value });
}

/** Makes what each fault needs, and waits until the relay knows it. */
export async function casesOf(owner: Owner, faults: readonly Fault[]): Promise<readonly Case[]> {
  const cases: Case[] = [];
  for (const fault of faults) {
    for (const form of fault.forms) {
      const [pair, lone] = [await owner.own(['bad', 'good']), await owner.own(['bad'])];
      if (fault.answer === 'refused') {
        await pair.upstream.close(['bad']);
        await lone.upstream.close(['bad']);
      }
      cases.push({ what: `${fault.what}, ${form}`, fault, form, pair, lone });
    }
  }
  await owner.known();
  return cases;
}

/** The case of that name; throws when there is none. */
export function caseOf(cases: readonly Case[], what: string): Case {
  const found = cases.find((one) => one.what === what);
  if (found === undefined) throw new Error(`no case is called ${what}`);
  return found;
}

/** The names of the cases that `faults` make. */
export function namesOf(faults: readonly Fault[]): readonly string[] {
  return faults.flatMap(({ what, forms }) => forms.map((form) => `${what}, ${form}`));
}

const GOOD = { stream: stream('from the other'), JSON: JSON.stringify(message('from the other')) };

const MARK = 'a-fault';

function bodyFor({ fault, form }: Case): string {
  const model = fault.outcome === 'timeout' ? { model: IMPATIENT_MODEL } : {};
  return ask(MARK, { stream: form === 'stream', ...model });
}

function script({ fault, form }: Case, of: Own): void {
  const { answer } = fault;
  const good = form === 'stream' ? events(GOOD.stream) : json(GOOD.JSON);
  of.upstream.on(MARK, (response, seen) =>
    seen.account === 'good' || answer === 'refused' ? good(response, seen) : answer(response, seen),
  );
}

/** The bad account is called first; a client of both is answered by the good one, if that helps. */
export async function expectMove(owner: Owner, one: Case): Promise<void> {
  const { fault, form, pair } = one;
  script(one, pair);
  const body = bodyFor(one);
  const reply = await send('/v1/messages', { key: pair.key, body });
  const wasCalled = fault.answer === 'refused' ? 0 : 1;
  if (!fault.moves) {
    expectShown(reply, fault);
    expect(pair.calls(MARK)).toEqual({ bad: wasCalled, good: 0 });
    return;
  }
  expect([reply.status, reply.text]).toEqual([200, GOOD[form]]);
  expect(pair.calls(MARK)).toEqual({ bad: wasCalled, good: 1 });
  const [first, second = first] = pair.upstream.seen(MARK);
  expect(second?.body.equals(first?.body ?? Buffer.from('')) ?? false).toBe(true);
  const row = await owner.row(reply);
  expect(row).toMatchObject({
    closing: 'completed',
    certainty: 'reported',
    costNanos: USAGE_NANOS,
    status: 200,
    attempts: [
      { outcome: fault.outcome, status: fault.status },
      { outcome: 'answered', status: 200 },
    ],
  });
  await expectHeld(() => pair.account('bad'), fault.held);
  expect((await pair.account('good')).reasons).toEqual([]);
}

/** A client that has the bad account alone is told the truth, and pays nothing. */
export async function expectLoss(owner: Owner, one: Case): Promise<void> {
  const { fault, lone } = one;
  script(one, lone);
  const reply = await send('/v1/messages', { key: lone.key, body: bodyFor(one) });
  expectShown(reply, fault);
  const tries = fault.repeats ? 2 : 1;
  expect(lone.calls(MARK)).toEqual({ bad: fault.answer === 'refused' ? 0 : tries });
  const { status } = reply;
  const isRefusal = fault.shown.body !== null && status < 500;
  const row = await owner.row(reply);
  expect(row).toMatchObject({
    closing: isRefusal ? 'upstream-refused' : 'upstream-failed',
    certainty: 'reported',
    costNanos: 0,
    attempts: Array.from({ length: tries }, () => ({
      outcome: fault.outcome,
      status: fault.status,
    })),
  });
  await expectHeld(() => lone.account('bad'), fault.needsProof ? null : fault.held);
}

function expectShown(reply: Reply, { shown }: Fault): void {
  const { status, body, type, code, retryAfter } = shown;
  if (body !== null) expect([reply.status, reply.text]).toEqual([status, body]);
  expect([reply.status, JSON.parse(reply.text)]).toMatchObject([status, { error: { type } }]);
  if (code !== null) {
    expect(JSON.parse(reply.text)).toMatchObject({ error: { details: { error_code: code } } });
    // Nothing of whoever answered.
    expect(reply.text).not.toMatch(/canary|x-api-key|127\.0\.0\.1/);
  }
  expect(reply.text).not.toContain('message_start');
  if (retryAfter !== null) expect(reply.headers['retry-after']).toMatch(retryAfter);
}

const SECOND_MS = 1_000;

async function expectHeld(read: () => Promise<AccountWithState>, held: Held | null): Promise<void> {
  // What is not held is looked at once more when all has been reported: `expectUnheld`.
  if (held === null) return;
  const { reasons, state } = await eventually('it is held back', async () => {
    const found = await read();
    return found.reasons.length > 0 ? found : null;
  });
  expect(reasons).toHaveLength(1);
  expect(reasons[0]).toMatchObject({ of: held.of, state: held.state });
  expect(state).toBe(held.of === 'account' ? held.state : 'ready');
  const { since = 0, until = null } = reasons[0] ?? {};
  if (held.lastsMs === null) expect(until).toBeNull();
  else if (held.lastsMs === 'month') expect(until).toBe(endOfMonth(since));
  else {
    const lastsMs = (until ?? 0) - since;
    expect(lastsMs).toBeLessThanOrEqual(held.lastsMs);
    // A date has no parts of a second.
    expect(lastsMs).toBeGreaterThan(held.lastsMs - 2 * SECOND_MS);
  }
}

function endOfMonth(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** After all of them: nothing is held of what should not be. */
export async function expectUnheld(owner: Owner, cases: readonly Case[]): Promise<void> {
  // Reports are heard in their order: when this is known, all before it is.
  const fence = await owner.own(['bad']);
  await owner.known();
  fence.upstream.on('fence', json({}, 401));
  await send('/v1/messages', { key: fence.key, body: ask('fence') });
  await expectHeld(() => fence.account('bad'), { of: 'account', state: 'out', lastsMs: null });
  const { items } = await owner.admin.call<{ items: readonly AccountWithState[] }>(
    'GET',
    '/admin/accounts',
  );
  const byId = new Map(items.map((item) => [item.id as string, item.reasons]));
  for (const { what, fault, pair, lone } of cases) {
    const { held, needsProof } = fault;
    const found = [pair.ids['bad'], pair.ids['good'], lone.ids['bad']].map(
      (id) => byId.get(id ?? '')?.length,
    );
    const isHeld = held === null ? 0 : 1;
    expect([what, ...found]).toEqual([what, isHeld, 0, needsProof ? 0 : isHeld]);
  }
}
