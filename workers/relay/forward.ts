// Step 4, forward: accounts are called until one answers, before the first byte and never after it.
// What a reply means is domain/scheduling/failure.ts's to say, what to do next attempts.ts's; here
// it is done: rest, ask for permits, call, tell what was seen.

import type { RelayError } from '../domain/errors';
import type { Mark } from '../domain/health/calls';
import type { Attempt } from '../domain/ledger/calls';
import { ZERO_NANOS } from '../domain/money';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import type { Attempts, Step } from '../domain/scheduling/attempts';
import {
  afterCall,
  afterDenial,
  afterWait,
  firstAttempts,
  nextStep,
} from '../domain/scheduling/attempts';
import type { Candidate, Choice } from '../domain/scheduling/choose';
import type { Reply, Verdict } from '../domain/scheduling/failure';
import { isGoodProbe, markOf, retryAfterMsOf, verdictOn } from '../domain/scheduling/failure';
import { SECOND_MS } from '../domain/time';
import { isTelling } from '../upstreams/refusals';
import type { Piece, Tried } from './attempt';
import { tryAccount, wordless } from './attempt';
import type { Client } from './client';
import { clientOf, onAbort } from './client';
import type { StopWord } from './ending';
import { askPermit, lastSuccessAt, noteCall, noteCost, noteEnd, noteOutcome } from './health';
import type { Answer, Journey } from './journey';
import type { Early } from './patience';
import type { Running } from './progress';
import { givenUpBy } from './progress';
import { earnRetry, hasRetry, spendRetry } from './retries';
import type { Scheduling } from './schedule';
import { circumstancesOf, coloOf, familyOf, noAccountFor, placeOf, soonestMs } from './schedule';

/** An account that did well just now is moved to without a token. */
const RECENT_MS = 10 * SECOND_MS;

/** What forward leaves behind when nobody answered. */
export interface Unanswered {
  readonly error: RelayError | 'client-left' | 'stopped';
  readonly attempts: readonly Attempt[];
  /** Unix ms at which the client left; null: it waits. */
  readonly leftAt: number | null;
  /** It was given up while an upstream was being called, which has most likely read the prompt. */
  readonly wasCalling: boolean;
}

/** One request's way from account to account. */
interface Way {
  readonly journey: Journey;
  readonly scheduling: Scheduling;
  readonly running: Running;
  readonly early: Early;
  readonly client: Client;
  readonly attempts: Attempt[];
  /** Marks that hold only if another account answers the same request. */
  readonly unproven: Mark[];
  state: Attempts;
  /** The last refusal that a client may see; null: none. */
  refusal: { readonly piece: Piece; readonly candidate: Candidate } | null;
  error: RelayError | null;
}

/** Calls accounts until one answers, or until nothing is left to try. */
export async function forward(
  journey: Journey,
  scheduling: Scheduling,
  { running, early }: { readonly running: Running; readonly early: Early },
): Promise<Result<Answer, Unanswered>> {
  const client = clientOf(journey.request.signal, journey.lease);
  const state = firstAttempts(Date.now());
  const begun = { attempts: [], unproven: [], state, refusal: null, error: null };
  const way: Way = { journey, scheduling, running, early, client, ...begun };
  for (;;) {
    const who = givenUpBy(running, client);
    if (who !== null) return givenUp(way, who, false);
    const choice = await scheduling.choice();
    const step = nextStep(way.state, choice, circumstancesOf(journey));
    // For who has left nobody is asked, nor asked a second time.
    if (step.do === 'give-up' || client.leftAt() !== null) return allLost(way, choice);
    if (step.do === 'wait') {
      const from = Date.now();
      await rest(way, step.untilMs - from);
      way.state = afterWait(way.state, Date.now() - from);
      continue;
    }
    const done = await take(way, step);
    if (done !== 'next') return done;
  }
}

/** Does a step; what it gives is the end of the way, or the word to go on. */
async function take(
  way: Way,
  step: Extract<Step, { do: 'call' }>,
): Promise<Result<Answer, Unanswered> | 'next'> {
  const { candidate, pauseMs } = step;
  const { account, provider } = candidate;
  const costsToken = step.isRetry && !isRecent(candidate);
  // Another provider's account may still be called, or one that did well just now.
  if (costsToken && !hasRetry(provider)) {
    way.state = afterDenial(way.state, account.id);
    return 'next';
  }
  await rest(way, pauseMs);
  const permit = await permitFor(way, step);
  if (permit === false) {
    way.state = afterDenial(way.state, account.id);
    return 'next';
  }
  if (givenUpBy(way.running, way.client) !== null) {
    tell(way, candidate, { verdict: null, permit });
    return 'next';
  }
  // Only a call costs one. Meanwhile it may have done well, or the last one may have gone.
  if (costsToken && !isRecent(candidate) && !spendRetry(provider)) {
    tell(way, candidate, { verdict: null, permit });
    way.state = afterDenial(way.state, account.id);
    return 'next';
  }
  return call(way, candidate, permit);
}

async function call(
  way: Way,
  candidate: Candidate,
  permit: string | null,
): Promise<Result<Answer, Unanswered> | 'next'> {
  const { journey, running, client, early } = way;
  const startedAt = Date.now();
  noteCall(candidate.account.id);
  const via = placeOf(journey, candidate);
  const tried = await tryAccount({ journey, candidate, running, client, early, via });
  if (tried.is === 'given-up') {
    noteEnd(candidate.account.id);
    tell(way, candidate, { verdict: null, permit });
    const outcome = tried.by === 'left' ? 'client-left' : 'stopped';
    record(way, candidate, { status: null, outcome, startedAt });
    return givenUp(way, tried.by, true);
  }
  const { reply } = tried;
  const verdict = verdictOn(reply);
  const marks = marksOf(way, candidate, { verdict, reply });
  const goesOn = tried.is === 'answer' && candidate.account.isHard;
  tell(way, candidate, { verdict, permit, marks, goesOn });
  const absorbedNanos = absorbedBy(way, candidate, verdict);
  record(way, candidate, { status: reply.status, outcome: verdict.name, startedAt, absorbedNanos });
  if (verdict.next === 'none') return handOn(way, candidate, { tried, permit });
  noteEnd(candidate.account.id);
  const called = { ...candidate, isElsewhere: via !== null };
  way.state = afterCall(way.state, called, { verdict, tookMs: Date.now() - startedAt });
  if (tried.is === 'failure') {
    if (tried.refusal !== null && verdict.isShowable) {
      way.refusal = { piece: discreet(tried.refusal), candidate };
    }
    // Of an event that said an error the stream may still be open.
    tried.asItCame?.cancel();
  }
  way.error = errorOf(reply, verdict);
  return 'next';
}

/** An answer, or a refusal that is the client's own affair: it is no longer called away from it. */
function handOn(
  way: Way,
  candidate: Candidate,
  { tried, permit }: { readonly tried: Tried; readonly permit: string | null },
): Result<Answer, Unanswered> {
  const piece = tried.is === 'answer' ? tried.answer : tried.is === 'failure' && tried.asItCame;
  if (!piece) {
    noteEnd(candidate.account.id);
    return allLost(way, null);
  }
  // What still flows has its end noted when it has come (handle.ts).
  if (piece.response.status >= 400) noteEnd(candidate.account.id);
  if (tried.is === 'answer') earnRetry(candidate.provider);
  const slot = candidate.account.isHard && permit !== null ? { slot: permit } : {};
  return ok({ ...answerOf(way, candidate, piece), ...slot });
}

function answerOf(way: Way, { account }: Candidate, piece: Piece): Answer {
  const { attempts, client, journey } = way;
  const firstByteMs = Date.now() - journey.receivedAt;
  return { account, ...piece, attempts, firstByteMs, client };
}

function givenUp(
  { attempts, client }: Way,
  by: 'left' | StopWord,
  wasCalling: boolean,
): Result<Answer, Unanswered> {
  const error = by === 'left' ? 'client-left' : 'stopped';
  return fail({ error, attempts, leftAt: client.leftAt(), wasCalling });
}

/** What speaks of the account is for the client in words that name nobody. */
function discreet(piece: Piece): Piece {
  const { response, beginning, cancel } = piece;
  return isTelling(new TextDecoder().decode(beginning)) ? wordless(response, cancel) : piece;
}

/** The first account may be back sooner than the last says that it is. */
function honest(piece: Piece, choice: Choice | null): Piece {
  const { status, headers: said } = piece.response;
  const now = Date.now();
  const waitMs = soonestMs(choice, now);
  if (status !== 429 || waitMs === null) return piece;
  if ((retryAfterMsOf(said, now) ?? Number.POSITIVE_INFINITY) <= waitMs) return piece;
  const headers = new Headers(said);
  headers.set('retry-after', String(Math.ceil(waitMs / SECOND_MS)));
  headers.delete('retry-after-ms');
  return { ...piece, response: new Response(null, { status, headers }) };
}

/** The last refusal in its own words, where they are for a client to read; else the relay's. */
function allLost(way: Way, choice: Choice | null): Result<Answer, Unanswered> {
  const { refusal, attempts, client } = way;
  if (refusal !== null) {
    return ok(answerOf(way, refusal.candidate, honest(refusal.piece, choice)));
  }
  const error = way.error ?? noAccountFor(way.journey, choice);
  return fail({ error, attempts, leftAt: client.leftAt(), wasCalling: false });
}

/** What a client is told of a failure that has no words of its own. */
function errorOf({ how }: Reply, { name, isShowable }: Verdict): RelayError | null {
  switch (how) {
    case 'answered':
      // How long to wait is the one thing that can be told of a throttle in no protocol.
      if (name === 'throttled') return null;
      return { kind: 'upstream-failed', why: isShowable ? 'unreadable' : 'credential' };
    case 'timeout':
      return { kind: 'upstream-timeout' };
    case 'broke-off':
      return { kind: 'upstream-ended' };
    case 'unsendable':
      return { kind: 'bad-request', message: 'This request has no form that an upstream takes.' };
    case 'unreadable':
    case 'redirect':
      return { kind: 'upstream-failed', why: how };
    case 'credential':
    case 'token-refused':
    case 'address':
      return { kind: 'upstream-failed', why: 'credential' };
    case 'unreachable':
    case 'token-unreachable':
      return { kind: 'upstream-failed', why: 'unreachable' };
  }
}

function isRecent({ account }: Candidate): boolean {
  const at = lastSuccessAt(account.id);
  return at !== null && Date.now() - at <= RECENT_MS;
}

/** Rests, unless nobody waits for the answer any more. */
async function rest({ running, client }: Way, ms: number): Promise<void> {
  if (ms <= 0) return;
  const woken = Promise.withResolvers<void>();
  const timer = setTimeout(woken.resolve, ms);
  const forget = onAbort(client.letGo, woken.resolve);
  running.stop = () => woken.resolve();
  await woken.promise;
  clearTimeout(timer);
  forget();
}

/** The permit's name; null: none is needed; false: it was not given. */
async function permitFor(
  { journey }: Way,
  { permit, candidate }: Extract<Step, { do: 'call' }>,
): Promise<string | false | null> {
  if (permit === null) return null;
  const { account, held } = candidate;
  const { hold, likelyInputNanos } = journey.lease;
  const reserveNanos = hold?.boundNanos ?? likelyInputNanos;
  const asked = { kind: permit, accountId: account.id, subjects: held, reserveNanos };
  const answer = await askPermit(journey, asked);
  return answer.granted ? answer.permit : false;
}

interface Seen {
  /** null: it was given up before it said anything. */
  readonly verdict: Verdict | null;
  readonly permit: string | null;
  readonly marks?: readonly Mark[];
  /** Its place at an account with exact limits is taken until it has ended. */
  readonly goesOn?: boolean;
}

/** Tells the isolate's picture, and through it Pool. */
function tell({ journey }: Way, { account, provider }: Candidate, seen: Seen): void {
  const { verdict, permit, marks = [], goesOn = false } = seen;
  const isGood = verdict === null ? null : isGoodProbe(verdict);
  const running = goesOn ? { isRunning: true as const } : {};
  const probe = permit === null ? {} : { probe: { permit, isGood, ...running } };
  const counts = verdict?.counts ?? 'none';
  const of = { accountId: account.id, provider, ...familyOf(journey) };
  noteOutcome(journey, { ...of, counts, marks, ...probe });
}

/** What holds the account back from now on; what the request may be at fault for must be proven. */
function marksOf(
  { journey, unproven }: Way,
  { account, provider }: Candidate,
  { verdict, reply }: { readonly verdict: Verdict; readonly reply: Reply },
): readonly Mark[] {
  // Another account takes what others refused: it was they.
  if (verdict.counts === 'success') return unproven.splice(0);
  const place = { provider, colo: coloOf(journey), now: Date.now() };
  const mark = markOf(verdict, reply, { accountId: account.id, ...familyOf(journey), ...place });
  if (mark === null) return [];
  if (!verdict.needsProof) return [mark];
  unproven.push(mark);
  return [];
}

/** What the upstream may have done for nobody: most likely it read the prompt. */
function absorbedBy({ journey }: Way, { account, provider }: Candidate, verdict: Verdict) {
  const { lease } = journey;
  if (!verdict.isAbsorbed || lease.seq === 0) return ZERO_NANOS;
  const absorbedNanos = lease.likelyInputNanos;
  const of = { accountId: account.id, provider, ...familyOf(journey) };
  noteCost(journey, { ...of, costNanos: ZERO_NANOS, absorbedNanos });
  return absorbedNanos;
}

function record(
  { attempts }: Way,
  { account }: Candidate,
  made: Omit<Attempt, 'accountId' | 'durationMs'> & { readonly startedAt: number },
): void {
  const { startedAt, absorbedNanos = ZERO_NANOS, ...told } = made;
  const absorbed = absorbedNanos === ZERO_NANOS ? {} : { absorbedNanos };
  const durationMs = Date.now() - startedAt;
  attempts.push({ accountId: account.id, ...told, durationMs, ...absorbed });
}
