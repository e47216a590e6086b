// What must be known of a wallet's requests beside the wallet itself, by no rule of the ledger: the
// first closing stays, the surest figure counts. After a call whose answer was lost two things can
// be true; storage must then show one of them, whole.

import type {
  AdmitAnswer,
  AdmitCall,
  Certainty,
  CreditCall,
  ExtendAnswer,
  ExtendCall,
  Lease,
  ProgressAnswer,
  ProgressCall,
  SettleAnswer,
  SettleCall,
  StopAnswer,
} from '../../workers/domain/ledger/calls';
import { CERTAINTIES } from '../../workers/domain/ledger/calls';
import type { AccountId } from '../../workers/domain/ids';
import type { Progress, RequestRow } from '../../workers/domain/ledger/row';

/** What a request's row must say. */
export interface Facts {
  readonly isThere: boolean;
  readonly isStopped: boolean;
  readonly progress: {
    readonly n: number;
    readonly costNanos: number;
    readonly dispatched: boolean;
  } | null;
  readonly first: { readonly closing: string; readonly costNanos: number } | null;
  readonly best: { readonly certainty: Certainty; readonly costNanos: number } | null;
}

/** What the upstream really counts of a request. */
export interface Truth {
  readonly inputTokens: number;
  output: number;
  n: number;
}

/** One request. */
export interface Line {
  readonly call: AdmitCall;
  /** One, or as many as calls without an answer leave open. */
  could: readonly Facts[];
  /** As the client has it. */
  lease: Lease | null;
  truth: Truth | null;
  /** Output that the client may pass on. */
  upTo: number;
  /** As storage had it last. */
  row: RequestRow | null;
  /** The account that holds what it names; null: it names nothing; `none`: no one account does. */
  readonly holder: AccountId | null | 'none';
}

type Named<D extends string, C> = { readonly do: D; readonly line: Line; readonly call: C };

/** A call that a client, the relay or an admin makes. */
export type Sent =
  | Named<'admit', AdmitCall>
  | Named<'settle', SettleCall>
  | Named<'progress', ProgressCall>
  | Named<'extend', ExtendCall>
  | Named<'stop', null>
  | { readonly do: 'credit'; readonly call: CreditCall };

export const LOST = Symbol('no answer came');

const NOTHING: Facts = {
  isThere: false,
  isStopped: false,
  progress: null,
  first: null,
  best: null,
};

export function newLine(call: AdmitCall, holder: Line['holder'] = null): Line {
  const unknown = { lease: null, truth: null, row: null };
  return { call, could: [NOTHING], ...unknown, upTo: 0, holder };
}

/** Open as far as is known. */
export function isOpen({ could }: Line): boolean {
  return could.some(({ isThere, first }) => isThere && first === null);
}

/** Notes a call and its answer; throws when that answer cannot have been given. */
export function note(sent: Exclude<Sent, { do: 'credit' }>, answer: unknown): void {
  const { line } = sent;
  if (answer === LOST) {
    line.could = distinct(line.could.flatMap((facts) => [facts, became(facts, sent)]));
    return;
  }
  const possible = line.could.filter((facts) => fits(facts, sent, answer));
  if (possible.length === 0) {
    const known = JSON.stringify(line.could);
    throw new Error(`${sent.do} was answered ${JSON.stringify(answer)} by ${known}`);
  }
  const isRefused = sent.do === 'admit' && !(answer as AdmitAnswer).ok;
  line.could = isRefused ? possible : distinct(possible.map((facts) => became(facts, sent)));
}

/** What the call makes of a row of which this is true. */
function became(facts: Facts, sent: Exclude<Sent, { do: 'credit' }>): Facts {
  const isRunning = facts.isThere && facts.first === null;
  switch (sent.do) {
    case 'admit':
      return facts.isThere ? facts : { ...facts, isThere: true };
    case 'settle':
      return closed(facts, sent.call);
    case 'progress': {
      const { n, costNanos, dispatched } = sent.call;
      const isNew = isRunning && (facts.progress === null || facts.progress.n < n);
      return isNew ? { ...facts, progress: { n, costNanos, dispatched } } : facts;
    }
    case 'stop':
      return isRunning ? { ...facts, isStopped: true } : facts;
    case 'extend':
      return facts;
  }
}

interface Closing {
  readonly closing: string;
  readonly certainty: Certainty;
  readonly costNanos: number;
}

function closed(facts: Facts, { closing, certainty, costNanos }: Closing): Facts {
  const { first, best } = facts;
  const surer = best === null || rank(certainty) > rank(best.certainty);
  return {
    ...facts,
    isThere: true,
    first: first ?? { closing, costNanos },
    best: surer ? { certainty, costNanos } : best,
  };
}

export function rank(certainty: Certainty): number {
  return CERTAINTIES.indexOf(certainty);
}

/** What an alarm makes of it that found its lease run out. */
export function recovered(facts: Facts, likelyInputNanos: number): Facts {
  if (!facts.isThere || facts.first !== null) return facts;
  const { progress } = facts;
  const soFar = progress?.costNanos || likelyInputNanos;
  const costNanos = progress?.dispatched === false ? 0 : soFar;
  return closed(facts, { closing: 'recovered', certainty: 'recovered', costNanos });
}

/** Whether a row of which this is true answers so. */
function fits(facts: Facts, sent: Exclude<Sent, { do: 'credit' }>, answer: unknown): boolean {
  // Each of the type that the call's name says.
  switch (sent.do) {
    case 'admit':
      return fitsAdmit(facts, sent.line, answer as AdmitAnswer);
    case 'settle': {
      const { first, best } = closed(facts, sent.call);
      return same(answer as SettleAnswer, { closing: first?.closing, ...best });
    }
    case 'stop':
      return same(answer as StopAnswer, standing(facts) ?? { state: 'stopping' });
    case 'progress':
    case 'extend': {
      const said = answer as ProgressAnswer | ExtendAnswer;
      const known = standing(facts);
      if (known !== null) return same(said, known);
      if (facts.isStopped) return same(said, { state: 'stop', closing: 'stopped' });
      // Which of these depends on the key and on the credit, not on the row.
      const states = sent.do === 'progress' ? ['open', 'stop'] : ['held', 'refused', 'stop'];
      return states.includes(said.state);
    }
  }
}

function fitsAdmit(facts: Facts, { row, holder }: Line, answer: AdmitAnswer): boolean {
  const isElsewhere = !answer.ok && answer.error.kind === 'held-elsewhere';
  if (isElsewhere !== (holder === 'none') && (answer.ok || isElsewhere)) return false;
  if (answer.ok && (answer.lease.owner ?? null) !== holder) return false;
  const isClosed = !answer.ok && answer.error.kind === 'already-closed';
  if (facts.first !== null) return isClosed;
  if (!facts.isThere) return !isClosed;
  return answer.ok && (row === null || answer.lease.seq === row.seq);
}

/** The answer to a request that does not run; null: it does. */
function standing({ isThere, first }: Facts): object | null {
  if (!isThere) return { state: 'unknown' };
  return first === null ? null : { state: 'closed', closing: first.closing };
}

function signOf({ n, costNanos, dispatched }: Progress): Facts['progress'] {
  return { n, costNanos, dispatched };
}

/** What a row in storage says; null: there is none. */
export function factsOf(row: RequestRow | null): Facts {
  if (row === null) return NOTHING;
  const { stoppedBy, outcome, known } = row;
  return {
    isThere: true,
    isStopped: stoppedBy !== undefined,
    progress: row.progress === null ? null : signOf(row.progress),
    first: outcome === null ? null : { closing: outcome.closing, costNanos: outcome.costNanos },
    best: known,
  };
}

export function distinct(could: readonly Facts[]): readonly Facts[] {
  return could.filter((facts, index) => could.findIndex((one) => same(one, facts)) === index);
}

/** Equal as JSON, whatever the order of the fields. */
export function same(one: object, other: object): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: object): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
