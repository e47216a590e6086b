// What the relay does with the rules of attempts, with accounts that answer as they are told, time
// that passes only as they take it, and no body. It keeps a book of all that was done, and why.

import type { Mark, PermitKind } from '../../workers/domain/health/calls';
import { subjectName } from '../../workers/domain/health/calls';
import type { AccountId } from '../../workers/domain/ids';
import type { Attempts, Circumstances, Step } from '../../workers/domain/scheduling/attempts';
import {
  afterCall,
  afterDenial,
  afterWait,
  firstAttempts,
  nextStep,
} from '../../workers/domain/scheduling/attempts';
import type { Candidate, Choice } from '../../workers/domain/scheduling/choose';
import { choose } from '../../workers/domain/scheduling/choose';
import type { Reply, Verdict } from '../../workers/domain/scheduling/failure';
import { markOf, verdictOn } from '../../workers/domain/scheduling/failure';
import type { SnapshotAccount } from '../../workers/domain/snapshot';
import { asked, MODEL, NOW, viewsOf } from './pool-accounts';

const STEPS_MAX = 100;
const PERMIT_MS = 40;

/** The world around one request. */
export interface World {
  readonly accounts: readonly SnapshotAccount[];
  readonly replyOf: (candidate: Candidate, at: number) => Reply;
  readonly tookMsOf: (reply: Reply) => number;
  readonly isGranted: (kind: PermitKind, accountId: AccountId) => boolean;
  /** What may be called again costs this; absent: nothing. */
  readonly takesToken?: (provider: string) => boolean;
  readonly random: () => number;
  readonly tag: string;
  readonly warm: AccountId | null;
  readonly waitMsMax: number;
  readonly canLeaveElsewhere: boolean;
  /** By their subject's name; what answers say is added. */
  readonly marks: Map<string, Mark>;
  readonly startedAt?: number;
}

/** One step, with what it was decided on. */
export interface Done {
  readonly step: Step;
  readonly state: Attempts;
  readonly choice: Choice;
  readonly given: Circumstances;
  /** When it was decided; when a call began. */
  readonly at: number;
  readonly wasDenied: boolean;
  readonly verdict: Verdict | null;
}

/** All steps of one request; throws if it does not end. */
export function runRequest(world: World): readonly Done[] {
  const { accounts, tag, warm, waitMsMax, canLeaveElsewhere, marks } = world;
  const book: Done[] = [];
  let now = world.startedAt ?? NOW;
  const unproven: (Mark | null)[] = [];
  let state = firstAttempts(now);
  while (book.length < STEPS_MAX) {
    const given = { now, random: world.random(), warm, waitMsMax, canLeaveElsewhere };
    const choice = choose(
      accounts,
      asked({ tag, warm, now }),
      viewsOf({ marks: [...marks.values()] }),
    );
    const step = nextStep(state, choice, given);
    const plain = { step, state, choice, given, at: now, wasDenied: false, verdict: null };
    if (step.do === 'give-up') return [...book, plain];
    if (step.do === 'wait') {
      book.push(plain);
      state = afterWait(state, step.untilMs - now);
      now = step.untilMs;
      continue;
    }
    const { candidate, permit, isRetry, pauseMs } = step;
    if (permit !== null) now += PERMIT_MS;
    if (permit !== null && !world.isGranted(permit, candidate.account.id)) {
      book.push({ ...plain, wasDenied: true });
      state = afterDenial(state, candidate.account.id);
      continue;
    }
    if (isRetry && world.takesToken?.(candidate.provider) === false) {
      state = afterDenial(state, candidate.account.id);
      continue;
    }
    now += pauseMs;
    const reply = world.replyOf(candidate, now);
    const verdict = verdictOn(reply);
    book.push({ ...plain, at: now, verdict });
    if (verdict.counts === 'success') for (const mark of unproven) keep(marks, mark);
    if (verdict.next === 'none') return book;
    const tookMs = world.tookMsOf(reply);
    now += tookMs;
    const mark = markOf(verdict, reply, calledOf(candidate, now));
    if (verdict.needsProof) unproven.push(mark);
    else keep(marks, mark);
    state = afterCall(state, candidate, { verdict, tookMs });
  }
  throw new Error(`no end after ${STEPS_MAX} steps`);
}

function calledOf({ account, provider }: Candidate, now: number) {
  return { accountId: account.id, family: 'opus', model: MODEL, provider, colo: 'FRA', now };
}

function keep(marks: Map<string, Mark>, mark: Mark | null): void {
  if (mark !== null) marks.set(subjectName(mark.subject), mark);
}
