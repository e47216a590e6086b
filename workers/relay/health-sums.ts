// What an isolate has seen of the accounts and Pool has not heard yet: sums, marks, ends of probes,
// and what runs now. A report that was not answered is sent again as it was, under its number; what
// is seen meanwhile waits for the next one. Everything is bounded.

import type { Mark, ProbeResult, Report, Tally } from '../domain/health/calls';
import { subjectName } from '../domain/health/calls';
import type { AccountId } from '../domain/ids';
import type { Nanos } from '../domain/money';
import { nanos, ZERO_NANOS } from '../domain/money';
import { base64url } from '../platform/base64';
import { randomBytes } from '../platform/random';

const ISOLATE_BYTES = 12;
/** Accounts and models that were called between two reports; more are not counted. */
const TALLIES_MAX = 500;
const MARKS_MAX = 200;
const PROBES_MAX = 500;

/** Who was called, and for which model. */
export interface Called {
  readonly accountId: AccountId;
  readonly provider: string;
  readonly family: string;
  readonly model: string;
}

type Counts = 'success' | 'failure' | 'overload' | 'none';

/** Seen since a report was made; filled in place. */
interface Seen {
  readonly tallies: Map<string, Tally>;
  readonly marks: Map<string, Mark>;
  readonly probes: ProbeResult[];
}

export class HealthSums {
  /** Chosen at the first call: there is no chance before one. */
  #isolate: string | null = null;
  #n = 0;
  #seen: Seen = nothing();
  /** What was sent and not yet answered; null: everything was. */
  #sent: { readonly report: Report; readonly marks: ReadonlyMap<string, Mark> } | null = null;
  readonly #inFlight = new Map<AccountId, number>();
  /** In use, by name. */
  readonly #permits = new Set<string>();

  /** The name under which this isolate reports. */
  isolate(): string {
    this.#isolate ??= base64url(randomBytes(ISOLATE_BYTES));
    return this.#isolate;
  }

  /** What was seen of the subject and Pool has not answered to. */
  marksOf(name: string): readonly (Mark | undefined)[] {
    return [this.#seen.marks.get(name), this.#sent?.marks.get(name)];
  }

  /** The accounts that those marks name. */
  markedAccounts(): ReadonlySet<string> {
    const marks = [...this.#seen.marks.values(), ...(this.#sent?.marks.values() ?? [])];
    return accountsOf(marks);
  }

  inFlightOf(accountId: AccountId): number {
    return this.#inFlight.get(accountId) ?? 0;
  }

  /** Whether any call runs. */
  isBusy(): boolean {
    return this.#inFlight.size > 0;
  }

  begin(accountId: AccountId): void {
    this.#inFlight.set(accountId, this.inFlightOf(accountId) + 1);
  }

  end(accountId: AccountId): void {
    const left = this.inFlightOf(accountId) - 1;
    if (left > 0) this.#inFlight.set(accountId, left);
    else this.#inFlight.delete(accountId);
  }

  count(called: Called, counts: Counts): void {
    if (counts === 'none') return;
    this.#add(called, (tally) => ({
      ...tally,
      successes: tally.successes + (counts === 'success' ? 1 : 0),
      failures: tally.failures + (counts === 'failure' ? 1 : 0),
      overloads: tally.overloads + (counts === 'overload' ? 1 : 0),
    }));
  }

  addCost(fact: Called & Readonly<Record<'costNanos' | 'absorbedNanos', Nanos>>): void {
    this.#add(fact, (tally) => ({
      ...tally,
      // A tally's cost is the whole.
      costNanos: sum(tally.costNanos, sum(fact.costNanos, fact.absorbedNanos)),
      absorbedNanos: sum(tally.absorbedNanos, fact.absorbedNanos),
    }));
  }

  #add({ accountId, provider, family, model }: Called, change: (tally: Tally) => Tally): void {
    const { tallies } = this.#seen;
    const name = [accountId, provider, family, model].join('\n');
    const fresh = { accountId, provider, family, model, ...NO_CALLS };
    const before = tallies.get(name) ?? (tallies.size < TALLIES_MAX ? fresh : null);
    if (before !== null) tallies.set(name, change(before));
  }

  /** Of two words about one subject the one that holds for longer stays, as in Pool. */
  addMark(mark: Mark): void {
    const { marks } = this.#seen;
    const name = subjectName(mark.subject);
    const before = marks.get(name);
    if (before === undefined && marks.size >= MARKS_MAX) return;
    marks.set(name, before !== undefined && isLonger(before, mark) ? before : mark);
  }

  /** A call begins by this permit: it is in use until a result says otherwise. */
  usePermit(permit: string): void {
    this.#permits.add(permit);
  }

  addProbe(result: ProbeResult): void {
    if (result.isRunning !== true) this.#permits.delete(result.permit);
    if (this.#seen.probes.length < PROBES_MAX) this.#seen.probes.push(result);
  }

  hasProbes(): boolean {
    return this.#seen.probes.length > 0;
  }

  /** Whether anything waits that Pool was not told. */
  hasNews(): boolean {
    const { tallies, marks } = this.#seen;
    return this.#sent !== null || tallies.size > 0 || marks.size > 0 || this.hasProbes();
  }

  /** Whether other isolates should hear of it soon. */
  isUrgent(): boolean {
    const { tallies, marks } = this.#seen;
    if (this.#sent !== null || marks.size > 0 || this.hasProbes()) return true;
    return [...tallies.values()].some(({ failures, overloads }) => failures + overloads > 0);
  }

  /** The report to send: the one that was not answered, or one of all that was seen since. */
  parcel(healthVersion: number | null): Report {
    if (this.#sent !== null) return this.#sent.report;
    this.#n += 1;
    const { tallies, marks, probes } = this.#seen;
    const report: Report = {
      isolate: this.isolate(),
      n: this.#n,
      tallies: [...tallies.values()],
      marks: [...marks.values()],
      probes,
      inFlight: Object.fromEntries(this.#inFlight),
      healthVersion,
      permits: [...this.#permits],
    };
    this.#sent = { report, marks };
    this.#seen = nothing();
    return report;
  }

  /** Pool has answered to this one. */
  delivered(n: number): void {
    if (this.#sent?.report.n === n) this.#sent = null;
  }
}

/** Ids of the accounts that `marks` name. */
export function accountsOf(marks: readonly Mark[]): ReadonlySet<string> {
  return new Set(
    marks.flatMap(({ subject }) => (subject.of === 'provider' ? [] : [subject.accountId])),
  );
}

const NO_CALLS = {
  successes: 0,
  failures: 0,
  overloads: 0,
  costNanos: ZERO_NANOS,
  absorbedNanos: ZERO_NANOS,
} as const;

/**
 * Of two marks of one subject, both in force, the one to act upon: a cooldown, which nobody passes,
 * else the one that holds for longer.
 */
export function strongerMark(one: Mark, other: Mark): Mark {
  const isCooling = one.state === 'cooling';
  if (isCooling !== (other.state === 'cooling')) return isCooling ? one : other;
  return isLonger(one, other) ? one : other;
}

function isLonger(one: Mark, other: Mark): boolean {
  const endOf = ({ until }: Mark): number => until ?? Number.POSITIVE_INFINITY;
  return endOf(one) >= endOf(other);
}

/** Never beyond what a number can hold: nothing here may fail a journey. */
function sum(one: Nanos, other: Nanos): Nanos {
  return nanos(Math.min(one + other, Number.MAX_SAFE_INTEGER));
}

function nothing(): Seen {
  return { tallies: new Map(), marks: new Map(), probes: [] };
}
