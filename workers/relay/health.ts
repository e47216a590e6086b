// How the accounts are, as this isolate sees it: what the Pool object has told, and what it has
// seen itself since. What was seen is reported behind the answers, a failure at once, and no
// journey waits for that; only a permit is waited for. It chooses no account, judges no answer.

import type {
  Health,
  Load,
  Mark,
  PermitAnswer,
  PermitCall,
  ProbeResult,
  Subject,
} from '../domain/health/calls';
import { NO_HEALTH, subjectName } from '../domain/health/calls';
import type { AccountId } from '../domain/ids';
import type { Nanos } from '../domain/money';
import { ZERO_NANOS } from '../domain/money';
import { SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { withinMs } from '../platform/clock';
import { poolOf } from '../platform/objects';
import type { Visit } from './journey';
import type { Called } from './health-sums';
import { accountsOf, HealthSums, strongerMark } from './health-sums';

/** A report that says something which others should know leaves at once, but no more often. */
const URGENT_EVERY_MS = SECOND_MS;
const EVERY_MS = 5 * SECOND_MS;
/** A report that is not away so long after it was due went with the request that was to send it. */
const LOST_AFTER_MS = 5 * SECOND_MS;
const REPORTED_WITHIN_MS = 5 * SECOND_MS;
/** Reports that were not answered are repeated so often by whoever sent them. */
const REPEATS_MAX = 3;
const PERMITTED_WITHIN_MS = 300;
/** A permit that was denied is not asked for again for so long. */
const DENIED_FOR_MS = SECOND_MS;
const REMEMBERED_MAX = 1_000;

const DENIED: PermitAnswer = { granted: false };
const NO_LOAD: Load = { inFlight: 0, dayNanos: ZERO_NANOS, monthNanos: ZERO_NANOS };

type Behind = Pick<Visit, 'env' | 'ctx'>;

/** As Pool told last; its marks by subject: a breaker may be open that also cools down. */
let held: Health = NO_HEALTH;
let heldMarks: ReadonlyMap<string, readonly Mark[]> = new Map();
let heldAccounts: ReadonlySet<string> = new Set();
const sums = new HealthSums();
/** Unix ms of the last answer that counts, by account. */
const successes = new Map<AccountId, number>();
/** Unix ms until which it is denied, by what is asked for. */
const denials = new Map<string, number>();
/** Unix ms of the last report, whatever became of it. */
let sentAt = Number.NEGATIVE_INFINITY;
/** The report that is to leave next; null: none is. */
let waiting: Waiting | null = null;
let isSending = false;

/** What an isolate knows of the accounts. */
export interface HealthView {
  /**
   * What holds the subject back; null: nothing. One that is `open` is given also when its time is
   * over: then it is half open.
   */
  readonly markOf: (subject: Subject) => Mark | null;
  /** false: nothing holds the account back, and no mark of it need be looked for. */
  readonly isMarked: (accountId: AccountId) => boolean;
  readonly loadOf: (accountId: AccountId) => Load;
}

/** The accounts at `now` (Unix ms). */
export function healthView(now: number): HealthView {
  const ownAccounts = sums.markedAccounts();
  return {
    isMarked: (accountId) => heldAccounts.has(accountId) || ownAccounts.has(accountId),
    markOf: (subject) => {
      const name = subjectName(subject);
      let found: Mark | null = null;
      for (const mark of [...sums.marksOf(name), ...(heldMarks.get(name) ?? [])]) {
        if (mark === undefined || !isInForce(mark, now)) continue;
        found = found === null ? mark : strongerMark(found, mark);
      }
      return found;
    },
    loadOf: (accountId) => {
      const load = held.loads[accountId] ?? NO_LOAD;
      // What runs here is known better here, and Pool's sum may not hold it yet.
      return { ...load, inFlight: Math.max(load.inFlight, sums.inFlightOf(accountId)) };
    },
  };
}

function isInForce({ state, until }: Mark, now: number): boolean {
  return state === 'open' || until === null || now < until;
}

/** The version of the held health; null: none was told yet. */
export function heldHealthVersion(): number | null {
  return held === NO_HEALTH ? null : held.version;
}

/** Takes over what Pool has told; an answer that was overtaken changes nothing. */
export function takeHealth(health: Health | undefined): void {
  if (health === undefined || health.version < held.version) return;
  held = health;
  heldAccounts = accountsOf(health.marks);
  heldMarks = Map.groupBy(health.marks, ({ subject }) => subjectName(subject));
}

/** A call begins: it runs until `noteEnd`. */
export function noteCall(accountId: AccountId): void {
  sums.begin(accountId);
}

/** The call is over, its stream included; `permit`: one that it held an exact limit's place by. */
export function noteEnd(accountId: AccountId, permit?: string): void {
  sums.end(accountId);
  if (permit !== undefined) sums.addProbe({ permit, isGood: null });
}

/** How a call began: what it counts for, and what it says outright. */
export interface OutcomeFact extends Called {
  readonly counts: 'success' | 'failure' | 'overload' | 'none';
  readonly marks: readonly Mark[];
  readonly probe?: ProbeResult;
}

/** A call has shown how it goes. */
export function noteOutcome(visit: Behind, fact: OutcomeFact): void {
  const { accountId, counts, marks, probe } = fact;
  if (counts === 'success') remember(successes, accountId, Date.now());
  sums.count(fact, counts);
  for (const mark of marks) sums.addMark(mark);
  if (probe !== undefined) sums.addProbe(probe);
  const isUrgent = counts === 'failure' || counts === 'overload' || marks.length > 0;
  arrange(visit, isUrgent || probe !== undefined);
}

/** What a call is said to have cost its account. */
export interface CostFact extends Called {
  /** What somebody pays for. */
  readonly costNanos: Nanos;
  /** Beside it, what nobody pays for. */
  readonly absorbedNanos: Nanos;
}

/** A call's cost is known. What a call that has ended held of an exact limit leaves with it. */
export function noteCost(visit: Behind, fact: CostFact): void {
  sums.addCost(fact);
  arrange(visit, sums.hasProbes());
}

/** A call goes on: an isolate in which only long streams run still says that it lives. */
export function noteRunning(visit: Behind): void {
  if (sums.isBusy()) arrange(visit, false);
}

/** Unix ms at which the account last answered this isolate; null: not that it remembers. */
export function lastSuccessAt(accountId: AccountId): number | null {
  return successes.get(accountId) ?? null;
}

/**
 * Asks for the right to call. No answer in time is a denial, and a cooldown that Pool may not have
 * heard of yet is passed by nobody. Never rejects.
 */
export async function askPermit(
  visit: Behind,
  call: Omit<PermitCall, 'isolate'>,
): Promise<PermitAnswer> {
  const { markOf } = healthView(Date.now());
  if (call.subjects.some((subject) => markOf(subject)?.state === 'cooling')) return DENIED;
  const name = [call.kind, call.accountId, ...call.subjects.map(subjectName)].join('\n');
  const deniedUntil = denials.get(name);
  if (deniedUntil !== undefined && Date.now() < deniedUntil) return DENIED;
  try {
    const asked = poolOf(visit.env).permit({ ...call, isolate: sums.isolate() });
    const answer = await withinMs(asked, PERMITTED_WITHIN_MS);
    if (answer !== 'late') {
      if (answer.granted) sums.usePermit(answer.permit);
      else remember(denials, name, Date.now() + DENIED_FOR_MS);
      return answer;
    }
    log('permit-late', { account: call.accountId });
    // The request that asked may be over before it comes.
    visit.ctx.waitUntil(asked.then((late) => giveBack(visit, late)).catch(() => undefined));
  } catch (error) {
    log('permit-lost', { account: call.accountId, error: String(error) });
  }
  remember(denials, name, Date.now() + DENIED_FOR_MS);
  return DENIED;
}

/** It came too late to be used: its place is free again with a report that leaves soon. */
function giveBack(visit: Behind, answer: PermitAnswer): void {
  if (!answer.granted) return;
  sums.addProbe({ permit: answer.permit, isGood: null });
  arrange(visit, true);
}

/** The latest stand last; the oldest is forgotten when there are too many. */
function remember<K>(map: Map<K, number>, key: K, at: number): void {
  map.delete(key);
  const [oldest] = map.keys();
  if (map.size >= REMEMBERED_MAX && oldest !== undefined) map.delete(oldest);
  map.set(key, at);
}

interface Waiting {
  readonly dueAt: number;
  /** Reports before it that were not answered, one after the other. */
  readonly failures: number;
}

/** Sees to it that a report leaves in time, behind the answer of whoever has something to say. */
function arrange(visit: Behind, isUrgent: boolean, failures = 0): void {
  const now = Date.now();
  const dueAt = isUrgent ? Math.max(now, sentAt + URGENT_EVERY_MS) : now + EVERY_MS;
  if (waiting !== null && waiting.dueAt <= dueAt && now - waiting.dueAt < LOST_AFTER_MS) return;
  const mine = { dueAt, failures };
  waiting = mine;
  visit.ctx.waitUntil(reportAt(visit, mine));
}

/** Reports when `mine` is due, unless a sooner one took its place. Never rejects. */
async function reportAt(visit: Behind, mine: Waiting): Promise<void> {
  const waitMs = mine.dueAt - Date.now();
  if (waitMs > 0) await scheduler.wait(waitMs);
  if (waiting !== mine) return;
  waiting = null;
  // The one that is under way arranges the next when it is over.
  if (isSending && Date.now() - sentAt < REPORTED_WITHIN_MS + LOST_AFTER_MS) return;
  const failures = (await report(visit.env)) ? 0 : mine.failures + 1;
  // What is still not told then goes with the next request.
  if (failures <= REPEATS_MAX && sums.hasNews()) arrange(visit, sums.isUrgent(), failures);
}

/** One at a time, so that numbers are heard in their order; what is not answered goes again. */
async function report(env: Env): Promise<boolean> {
  isSending = true;
  sentAt = Date.now();
  const parcel = sums.parcel(heldHealthVersion());
  try {
    const answer = await withinMs(poolOf(env).report(parcel), REPORTED_WITHIN_MS);
    if (answer === 'late') {
      log('health-late', { n: parcel.n });
      return false;
    }
    // First what Pool knows, then no longer what it was told.
    if (answer.health !== 'unchanged') takeHealth(answer.health);
    sums.delivered(parcel.n);
    return true;
  } catch (error) {
    log('health-lost', { n: parcel.n, error: String(error) });
    return false;
  } finally {
    isSending = false;
  }
}
