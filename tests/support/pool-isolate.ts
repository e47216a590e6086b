// One isolate of tests/support/pool-world.ts: what it was told and has seen, and requests that find
// their way by the scheduling rules, as relay/forward.ts and relay/health.ts do it in earnest.

import assert from 'node:assert/strict';
import type { Health, Load, Mark, Subject } from '../../workers/domain/health/calls';
import { NO_HEALTH, subjectName } from '../../workers/domain/health/calls';
import type { AccountId } from '../../workers/domain/ids';
import { ZERO_NANOS } from '../../workers/domain/money';
import type { Attempts, Step } from '../../workers/domain/scheduling/attempts';
import {
  afterCall,
  afterDenial,
  firstAttempts,
  nextStep,
} from '../../workers/domain/scheduling/attempts';
import type { Candidate, Choice } from '../../workers/domain/scheduling/choose';
import { choose } from '../../workers/domain/scheduling/choose';
import { isGoodProbe, markOf, verdictOn } from '../../workers/domain/scheduling/failure';
import type { RetryTokens } from '../../workers/domain/scheduling/retry-tokens';
import { afterSuccess, FULL_TOKENS, takeToken } from '../../workers/domain/scheduling/retry-tokens';
import { SECOND_MS } from '../../workers/domain/time';
import { HealthSums, strongerMark } from '../../workers/relay/health-sums';
import type { Model, PoolWorld } from './pool-world';

const NO_LOAD: Load = { inFlight: 0, dayNanos: ZERO_NANOS, monthNanos: ZERO_NANOS };
const RECENT_MS = 10 * SECOND_MS;

/** `spent`: an account was left, but no token to call it with. */
export type HowEnded = 'answered' | 'given-up' | 'spent';

/** A request on its way. */
export interface Journey extends Model {
  readonly tag: string;
  readonly startedAt: number;
  /** As it looked first, and last. */
  readonly choice: Choice;
  last: Choice;
  /** Of the calls made for it, in their order. */
  readonly called: AccountId[];
  state: Attempts;
  /** A token was missing to call one of them with. */
  isSpent: boolean;
  readonly ended: (how: HowEnded, journey: Journey) => void;
}

export class PoolIsolate {
  readonly #world: PoolWorld;
  readonly #index: number;
  readonly #sums = new HealthSums();
  readonly #tokens = new Map<string, RetryTokens>();
  readonly #successes = new Map<AccountId, number>();
  /** From and until when an account has asked this isolate to wait, by account and family. */
  readonly #cooling = new Map<string, { readonly from: number; readonly until: number }>();
  #held: Health = NO_HEALTH;
  #heldMarks: ReadonlyMap<string, readonly Mark[]> = new Map();
  #sentAt = Number.NEGATIVE_INFINITY;
  #dueAt: number | null = null;

  constructor(world: PoolWorld, index: number) {
    this.#world = world;
    this.#index = index;
  }

  refresh(): void {
    if (this.#world.version() !== this.#held.version) this.#learn(this.#world.view());
  }

  #learn(health: Health): void {
    if (health.version < this.#held.version) return;
    this.#held = health;
    this.#heldMarks = Map.groupBy(health.marks, ({ subject }) => subjectName(subject));
  }

  /** As healthView's. */
  markOf(subject: Subject): Mark | null {
    const name = subjectName(subject);
    let found: Mark | null = null;
    for (const mark of [...this.#sums.marksOf(name), ...(this.#heldMarks.get(name) ?? [])]) {
      if (mark === undefined) continue;
      const isOver = mark.until !== null && mark.until <= this.#world.now;
      if (isOver && mark.state !== 'open') continue;
      found = found === null ? mark : strongerMark(found, mark);
    }
    return found;
  }

  #choose(tag: string, { model, family }: Model): Choice {
    const nobody = { groups: [], warm: null, owner: null, colo: null };
    const asked = { tag, model, family, ...nobody, now: this.#world.now };
    return choose(this.#world.accounts, asked, {
      markOf: (subject) => this.markOf(subject),
      loadOf: () => NO_LOAD,
      refusalOf: () => null,
    });
  }

  request(tag: string, of: Model, ended: Journey['ended']): void {
    const startedAt = this.#world.now;
    const choice = this.#choose(tag, of);
    const state = firstAttempts(startedAt);
    const fresh = { isSpent: false, ended };
    this.#next({ tag, ...of, startedAt, choice, last: choice, called: [], state, ...fresh });
  }

  #next(journey: Journey): void {
    const { now, random } = this.#world;
    const choice = this.#choose(journey.tag, journey);
    journey.last = choice;
    const circumstances = { warm: null, waitMsMax: 0, canLeaveElsewhere: false };
    const step = nextStep(journey.state, choice, { now, random: random(), ...circumstances });
    if (step.do !== 'call') {
      assert.equal(step.do, 'give-up');
      journey.ended(journey.isSpent ? 'spent' : 'given-up', journey);
      return;
    }
    const { account, provider } = step.candidate;
    const at = this.#successes.get(account.id) ?? Number.NEGATIVE_INFINITY;
    if (step.isRetry && now - at > RECENT_MS && !this.#spend(provider)) {
      journey.isSpent = true;
      journey.state = afterDenial(journey.state, account.id);
      this.#next(journey);
      return;
    }
    this.#world.after(step.pauseMs, () => this.#call(journey, step, now));
  }

  #spend(provider: string): boolean {
    const taken = takeToken(this.#tokens.get(provider) ?? FULL_TOKENS);
    if (taken !== null) this.#tokens.set(provider, taken);
    return taken !== null;
  }

  #call(journey: Journey, step: Extract<Step, { do: 'call' }>, chosenAt: number): void {
    const { candidate } = step;
    const { account, held } = candidate;
    let permit: string | null = null;
    if (step.permit !== null) {
      const asked = { kind: step.permit, accountId: account.id, subjects: held };
      const isCooling = held.some((subject) => this.markOf(subject)?.state === 'cooling');
      permit = isCooling ? null : this.#world.ask(asked, this.#sums.isolate());
      if (permit === null) {
        journey.state = afterDenial(journey.state, account.id);
        this.#next(journey);
        return;
      }
    }
    const { model, family } = journey;
    const { from, until } = this.#cooling.get(`${account.id} ${family}`) ?? { from: 0, until: 0 };
    const hasWaited = chosenAt < from || chosenAt >= until;
    assert.ok(hasWaited, `isolate ${this.#index} did not wait for ${account.id}`);
    const isPermitted = permit !== null;
    this.#world.call({ account, model, family, chosenAt, isPermitted });
    journey.called.push(account.id);
    const calledAt = this.#world.now;
    this.#world.after(5 + this.#world.upTo(200), () => {
      this.#answered(journey, candidate, { permit, calledAt });
    });
  }

  #answered(
    journey: Journey,
    candidate: Candidate,
    { permit, calledAt }: { readonly permit: string | null; readonly calledAt: number },
  ): void {
    const { account, provider } = candidate;
    const { model, family } = journey;
    const now = this.#world.now;
    const reply = this.#world.reply(account);
    const verdict = verdictOn(reply);
    const called = { accountId: account.id, provider, model, family };
    const mark = markOf(verdict, reply, { ...called, colo: null, now });
    this.#sums.count(called, verdict.counts);
    if (mark !== null) this.#sums.addMark(mark);
    if (reply.status === 429 && mark?.until) {
      this.#cooling.set(`${account.id} ${family}`, { from: now, until: mark.until });
    }
    if (permit !== null) this.#sums.addProbe({ permit, isGood: isGoodProbe(verdict) });
    this.#arrange();
    if (verdict.counts === 'success') {
      this.#successes.set(account.id, now);
      const tokens = this.#tokens.get(provider);
      if (tokens !== undefined) this.#tokens.set(provider, afterSuccess(tokens));
      journey.ended('answered', journey);
      return;
    }
    journey.state = afterCall(journey.state, candidate, { verdict, tookMs: now - calledAt });
    this.#next(journey);
  }

  /** As relay/health.ts arranges its reports. */
  #arrange(): void {
    const { now } = this.#world;
    const urgentAt = Math.max(now, this.#sentAt + SECOND_MS);
    const dueAt = this.#sums.isUrgent() ? urgentAt : now + 5 * SECOND_MS;
    if (this.#dueAt !== null && this.#dueAt <= dueAt) return;
    this.#dueAt = dueAt;
    this.#world.after(dueAt - now, () => {
      if (this.#dueAt !== dueAt) return;
      this.#dueAt = null;
      this.#report();
    });
  }

  #report(): void {
    this.#sentAt = this.#world.now;
    const report = this.#sums.parcel(this.#held.version);
    this.#world.send(report, () => {
      if (this.#world.version() !== report.healthVersion) this.#learn(this.#world.view());
      this.#sums.delivered(report.n);
    });
    // What was not answered goes again.
    this.#world.after(SECOND_MS, () => {
      if (this.#sums.hasNews()) this.#arrange();
    });
  }
}
