// A sign of life for every request that stays open: renews its lease, tells its cost so far, and
// learns whether it may go on.

import type { AccountId } from '../domain/ids';
import type { ProgressCall } from '../domain/ledger/calls';
import type { Nanos } from '../domain/money';
import { ZERO_NANOS } from '../domain/money';
import { SECOND_MS } from '../domain/time';
import type { Usage } from '../domain/usage/tokens';
import { log } from '../observe/log';
import { ledgerOf } from '../platform/objects';
import type { Client } from './client';
import type { StopWord } from './ending';
import { noteRunning } from './health';
import type { Admitted } from './journey';
import { tellRunning } from './live';

const EVERY_MS = 15 * SECOND_MS;

/**
 * What is known of a request while it runs; each step puts its own figures and its own end here.
 */
export interface Running {
  costNanos: () => Nanos;
  /** What the upstream has reported that the input costs; null: nothing yet. */
  inputNanos: () => Nanos | null;
  /** What the upstream has reported; null: nothing yet. */
  usage: () => Usage | null;
  /** Whether any account has been called yet. */
  dispatched: boolean;
  /** The account that was called last. */
  accountId: AccountId | null;
  /** Ends what runs now. */
  stop: (word: StopWord) => void;
  /** Why it was ended from this side; null: it was not. */
  stopped: StopWord | null;
  /** Looked in on at each sign of life: one timer serves all that can take too long. */
  onTick: () => void;
  /** Gives a sign of life out of turn. */
  tell: () => void;
}

/** A request that has been admitted and no more. */
export function atRest(): Running {
  const stop = (): void => undefined;
  const costNanos = (): Nanos => ZERO_NANOS;
  const nothing = (): null => null;
  const figures = { costNanos, inputNanos: nothing, usage: nothing };
  const uncalled = { dispatched: false, accountId: null };
  return { ...figures, ...uncalled, stop, stopped: null, onTick: stop, tell: stop };
}

/** Who gave up what ran: the first of them; null: nobody, it ended by itself. */
export function givenUpBy({ stopped }: Running, client: Client): 'left' | StopWord | null {
  if (client.letGo.aborted) return 'left';
  // What is stopped while it is read on had lost its client before.
  return stopped !== null && client.leftAt() !== null ? 'left' : stopped;
}

/**
 * Tells of `running` every 15 s, and stops it when the ledger says so, until the answer is called.
 */
export function keepAlive(journey: Admitted, running: Running): () => void {
  let n = 0;
  const end = (word: StopWord): void => {
    running.stopped = word;
    running.stop(word);
  };
  running.tell = () => {
    // Class `free` has no row to keep alive.
    if (journey.lease.seq === 0) return;
    n += 1;
    const { walletId, region } = journey.bearer.parts;
    const call = callOf(journey, running, n);
    tellRunning(journey, call);
    ledgerOf(journey.env, walletId, region)
      .progress(call)
      .then((answer) => {
        if (answer.state === 'stop') end(answer.closing);
        if (answer.state === 'closed' || answer.state === 'unknown') end('stopped');
      })
      .catch((error: unknown) => {
        // The next one carries the same absolute figures.
        log('progress-lost', { request: journey.requestId, error: String(error) });
      });
  };
  const timer = setInterval(() => {
    running.onTick();
    running.tell();
    noteRunning(journey);
  }, EVERY_MS);
  return () => clearInterval(timer);
}

function callOf({ lease, requestId }: Admitted, running: Running, n: number): ProgressCall {
  const { dispatched, accountId } = running;
  const inputNanos = running.inputNanos();
  const usage = running.usage();
  return {
    seq: lease.seq,
    requestId,
    n,
    costNanos: running.costNanos(),
    dispatched,
    ...(inputNanos === null ? {} : { inputNanos }),
    ...(usage === null ? {} : { usage }),
    ...(accountId === null ? {} : { accountId }),
  };
}
