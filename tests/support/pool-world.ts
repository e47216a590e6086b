// Many isolates over one Pool, by the rules alone, on a clock of events: accounts that are well or
// not, requests that choose and fail over, reports that are lost and come again, the cron. It
// checks each call as it is made; what a history is, its test says.

import assert from 'node:assert/strict';
import type { Mark, Report } from '../../workers/domain/health/calls';
import { subjectName } from '../../workers/domain/health/calls';
import { healthFromJson, healthToJson } from '../../workers/domain/health/kept';
import { permit } from '../../workers/domain/health/permits';
import { dueProbes } from '../../workers/domain/health/probes';
import { takeReport } from '../../workers/domain/health/report';
import type { HealthState } from '../../workers/domain/health/state';
import { emptyHealth, knowAccounts } from '../../workers/domain/health/state';
import { versionAt, viewOf } from '../../workers/domain/health/view';
import type { AccountId } from '../../workers/domain/ids';
import { LIST_PRICES } from '../../workers/domain/pricing/list-prices';
import type { Reply } from '../../workers/domain/scheduling/failure';
import { markOf, verdictOn } from '../../workers/domain/scheduling/failure';
import type { SnapshotAccount } from '../../workers/domain/snapshot';
import { providerOf } from '../../workers/domain/snapshot';
import { MINUTE_MS, SECOND_MS } from '../../workers/domain/time';
import { NOW } from './ledger';
import { PoolIsolate } from './pool-isolate';

export type Condition =
  | 'well'
  | 'failing'
  | 'unreachable'
  | 'unauthenticated'
  | 'throttled'
  | 'overloaded';

/** An isolate acts upon what it was told for so long, at most. */
const STALE_MS = 10 * SECOND_MS;
export const MODELS = [
  { model: 'claude-opus-5-5', family: 'opus' },
  { model: 'claude-haiku-4-5', family: 'haiku' },
] as const;
export interface Model {
  readonly model: string;
  readonly family: string;
}
const PRICES = LIST_PRICES.filter(({ model }) => MODELS.some((each) => each.model === model));

export interface WorldFacts {
  readonly random: () => number;
  readonly accounts: readonly SnapshotAccount[];
  readonly isolates: number;
  /** Reports and answers are lost, doubled and late. */
  readonly isUnlucky: boolean;
}

/** A call that was made. */
export interface Made {
  readonly accountId: AccountId;
  readonly at: number;
}

/** One call about to be made. */
export interface Making extends Model {
  readonly account: SnapshotAccount;
  /** When the isolate looked at how the accounts are. */
  readonly chosenAt: number;
  readonly isPermitted: boolean;
}

export class PoolWorld {
  readonly random: () => number;
  readonly accounts: readonly SnapshotAccount[];
  readonly isolates: readonly PoolIsolate[];
  readonly calls: Made[] = [];
  readonly #conditions = new Map<AccountId, { readonly is: Condition; readonly since: number }>();
  /** How long a throttled account asks to wait. */
  retryAfterMs = 20 * SECOND_MS;
  now = NOW;
  events = 0;
  crashPoints = 0;
  state: HealthState;
  readonly #isUnlucky: boolean;
  #queue: { readonly at: number; readonly n: number; readonly run: () => void }[] = [];
  #made = 0;
  /** When Pool learnt what holds a subject back, by subject and end. */
  #learnt = new Map<string, number>();

  constructor({ random, accounts, isolates, isUnlucky }: WorldFacts) {
    this.random = random;
    this.accounts = accounts;
    this.#isUnlucky = isUnlucky;
    this.state = emptyHealth(1);
    knowAccounts(this.state, accounts, NOW);
    for (const { id } of accounts) this.become(id, 'well');
    this.isolates = Array.from({ length: isolates }, (_, index) => new PoolIsolate(this, index));
    for (const isolate of this.isolates) {
      this.every(STALE_MS, this.random() * STALE_MS, () => isolate.refresh());
    }
    this.every(MINUTE_MS, MINUTE_MS, () => this.#cron());
  }

  after(ms: number, run: () => void): void {
    this.#made += 1;
    const event = { at: this.now + ms, n: this.#made, run };
    const place = this.#queue.findLastIndex(({ at }) => at <= event.at);
    this.#queue.splice(place + 1, 0, event);
  }

  every(ms: number, firstMs: number, run: () => void): void {
    this.after(firstMs, () => {
      run();
      this.every(ms, ms, run);
    });
  }

  /** Everything that happens until `ms` from the beginning. */
  runUntil(ms: number): void {
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined || next.at > NOW + ms) break;
      this.#queue = this.#queue.slice(1);
      this.now = next.at;
      this.events += 1;
      next.run();
    }
    this.now = NOW + ms;
  }

  /** Between 0 and `max`. */
  upTo(max: number): number {
    return this.random() * max;
  }

  isUnlucky(share: number): boolean {
    return this.#isUnlucky && this.random() < share;
  }

  nextName(): string {
    this.#made += 1;
    return `made-${this.#made}`;
  }

  /** The account is so from now on. */
  become(accountId: AccountId, is: Condition): void {
    this.#conditions.set(accountId, { is, since: this.now });
  }

  /** Whether it has been well since then. */
  wasWell({ id }: Pick<SnapshotAccount, 'id'>, since: number): boolean {
    const condition = this.#conditions.get(id);
    return condition?.is === 'well' && condition.since <= since;
  }

  /** What the account answers now. */
  reply(account: SnapshotAccount): Reply {
    const said = { how: 'answered', type: null, code: null, message: '' } as const;
    switch (this.#conditions.get(account.id)?.is ?? 'well') {
      case 'well':
        return { ...said, status: 200, retryAfterMs: null };
      case 'failing':
        return { ...said, status: 500, retryAfterMs: null };
      case 'unreachable':
        return { ...said, how: 'unreachable', status: null, retryAfterMs: null };
      case 'unauthenticated':
        return { ...said, status: 401, retryAfterMs: null };
      case 'throttled':
        return { ...said, status: 429, retryAfterMs: this.retryAfterMs };
      case 'overloaded':
        return { ...said, status: 529, type: 'overloaded_error', retryAfterMs: null };
    }
  }

  /** A report on its way; `answered` is called when Pool's answer comes back. */
  send(report: Report, answered: (() => void) | null): void {
    if (this.isUnlucky(0.2)) return;
    if (this.isUnlucky(0.1)) this.after(this.upTo(20 * SECOND_MS), () => this.#take(report));
    this.after(this.upTo(50), () => {
      this.#take(report);
      if (answered !== null && !this.isUnlucky(0.2)) answered();
    });
  }

  #take(report: Report): void {
    takeReport(this.state, report, this.now);
    this.#learn();
    if (this.isUnlucky(0.01)) this.crash();
  }

  /** The object's memory is lost. */
  crash(): void {
    this.crashPoints += 1;
    const kept: unknown = JSON.parse(JSON.stringify(healthToJson(this.state)));
    this.state = healthFromJson(kept as ReturnType<typeof healthToJson>, this.now);
    knowAccounts(this.state, this.accounts, this.now);
  }

  version(): number {
    return versionAt(this.state, this.now);
  }

  view() {
    return viewOf(this.state, this.now);
  }

  ask(call: Omit<Parameters<typeof permit>[1], 'isolate'>, isolate: string): string | null {
    const answer = permit(this.state, { ...call, isolate }, { now: this.now, id: this.nextName() });
    return answer.granted ? answer.permit : null;
  }

  #learn(): void {
    const before = this.#learnt;
    this.#learnt = new Map(
      viewOf(this.state, this.now).marks.map((mark) => {
        const name = nameOf(mark);
        return [name, before.get(name) ?? this.now];
      }),
    );
  }

  /** For how long Pool has held back any of what is called; null: it does not. */
  heldForMs(account: SnapshotAccount, { model, family }: Model, at: number): number | null {
    const { id: accountId } = account;
    const names = new Set(
      [
        { of: 'account', accountId } as const,
        { of: 'family', accountId, family } as const,
        { of: 'model', accountId, model } as const,
        { of: 'provider', provider: providerOf(account), model } as const,
      ].map(subjectName),
    );
    const since = viewOf(this.state, this.now)
      .marks.filter(({ subject }) => names.has(subjectName(subject)))
      .map((mark) => this.#learnt.get(nameOf(mark)) ?? this.now);
    return since.length === 0 ? null : at - Math.min(...since);
  }

  /** Notes a call; nobody calls without a permit what was held back for ten seconds. */
  call(making: Making): void {
    const { account, chosenAt, isPermitted } = making;
    this.calls.push({ accountId: account.id, at: this.now });
    if (isPermitted) return;
    const heldMs = this.heldForMs(account, making, chosenAt);
    assert.ok(heldMs === null || heldMs <= STALE_MS, `${account.id} was held for ${heldMs} ms`);
  }

  /** As jobs/probe.ts does it. */
  #cron(): void {
    const { accounts, now } = this;
    const marks = this.view().marks;
    for (const probe of dueProbes({ accounts, marks, prices: PRICES, now })) {
      const { account, kind, subjects, model, family } = probe;
      const given = this.ask({ kind, accountId: account.id, subjects }, 'cron');
      if (given === null) continue;
      this.calls.push({ accountId: account.id, at: now });
      const reply = this.reply(account);
      const verdict = verdictOn(reply);
      const provider = providerOf(account);
      const called = { accountId: account.id, provider, model, family, colo: null, now };
      const mark = markOf(verdict, reply, called);
      const isBad = verdict.counts !== 'none' || mark?.subject.of === 'account';
      const isGood = verdict.counts === 'success' ? true : isBad ? false : null;
      const nothing = { tallies: [], inFlight: {}, healthVersion: null };
      const probes = [{ permit: given, isGood }];
      const said = mark === null ? [] : [mark];
      this.send({ isolate: this.nextName(), n: 1, marks: said, probes, ...nothing }, null);
    }
  }
}

function nameOf({ subject, until }: Mark): string {
  return `${subjectName(subject)} ${until}`;
}
