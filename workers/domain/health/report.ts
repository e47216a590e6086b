// Isolates' reports folded into the accounts' health: each once, in whatever order they come.

import { CLOSED, withCalls } from '../breaker/breaker';
import { ZERO_NANOS } from '../money';
import type { Report, SpendCall, Subject, Tally } from './calls';
import { subjectName } from './calls';
import { mergeMark } from './marks';
import { endLost, endPermit, hearIsolate } from './permits';
import { correctedBy, withCost } from './spend';
import type { HealthState } from './state';
import { isKnownAccount, ISOLATES_MAX, NAME_CHARACTERS_MAX, putBreaker, touch } from './state';

/** Of each kind in one report; an isolate sends fewer. */
const TALLIES_MAX = 1_000;
const MARKS_MAX = 500;
const PROBES_MAX = 1_000;

/**
 * Takes what one isolate has seen; one that was heard already changes nothing. An isolate sends a
 * report only when the one before it was answered, so no number is ever missing. `now` in Unix ms.
 */
export function takeReport(state: HealthState, report: Report, now: number): void {
  endLost(state, now);
  const { isolate, n } = report;
  if (isolate.length > NAME_CHARACTERS_MAX) return;
  if (n <= (state.isolates.get(isolate)?.n ?? Number.NEGATIVE_INFINITY)) return;
  hear(state, report, now);
  // Calls before probes: what a probe itself has counted decides nothing.
  for (const tally of report.tallies.slice(0, TALLIES_MAX)) takeTally(state, tally, now);
  for (const result of report.probes.slice(0, PROBES_MAX)) endPermit(state, result, now);
  // Marks last: what an account has said outright is newer than its good probe.
  for (const mark of report.marks.slice(0, MARKS_MAX)) mergeMark(state, mark, now);
}

/** The latest heard stands last. */
function hear(state: HealthState, report: Report, now: number): void {
  const { isolate, n, inFlight } = report;
  const { isolates } = state;
  isolates.delete(isolate);
  const [silent] = isolates.keys();
  if (isolates.size >= ISOLATES_MAX && silent !== undefined) isolates.delete(silent);
  isolates.set(isolate, { n, heardAt: now, inFlight });
  hearIsolate(state, report, now);
}

/** An overload is its provider's alone; a failure its account's alone. */
function takeTally(state: HealthState, tally: Tally, now: number): void {
  const { accountId, provider, family, model, successes: good, failures, overloads } = tally;
  if (!isKnownAccount(state, accountId)) return;
  count(state, { of: 'family', accountId, family }, { good, bad: failures, now });
  count(state, { of: 'provider', provider, model }, { good, bad: overloads, now });
  if (tally.costNanos > ZERO_NANOS) {
    state.spend.set(accountId, withCost(state.spend.get(accountId), tally.costNanos, now));
  }
}

function count(
  state: HealthState,
  subject: Subject,
  { good, bad, now }: { readonly good: number; readonly bad: number; readonly now: number },
): void {
  const name = subjectName(subject);
  if (good + bad === 0 || name.length > NAME_CHARACTERS_MAX) return;
  const before = state.breakers.get(name)?.breaker ?? CLOSED;
  const breaker = withCalls(before, { good, bad }, now);
  if (breaker === before) return;
  putBreaker(state, subject, { breaker, usedAt: now });
  if (breaker.opening !== null && state.breakers.has(name)) touch(state, now);
}

/** Corrects what accounts have cost by D1's sums. `now` in Unix ms. */
export function takeSums(state: HealthState, call: SpendCall, now: number): void {
  const { asOf } = call;
  for (const sum of call.sums) {
    const { accountId } = sum;
    if (!isKnownAccount(state, accountId)) continue;
    const before = state.spend.get(accountId);
    state.spend.set(accountId, correctedBy(before, sum, { asOf, now }));
  }
}
