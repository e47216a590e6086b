// Holding more output while a stream runs, without ever making it wait: asked for in time, again if
// no answer comes, and the stream is ended when what is held is used up and nothing more is given.

import { hiddenThinkingTokens, nextExtensionAt } from '../domain/ledger/hold';
import { SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { ledgerOf } from '../platform/objects';
import type { Read, StopWord } from './ending';
import { outputSoFar, toolsAsOutput } from './ending';
import type { Journey } from './journey';

/** The meter reads in naps of up to a second: what may have passed meanwhile counts as spent. */
const LAG_MS = SECOND_MS;
/** A ledger that does not answer is waited for this long after the slice is used up. */
const GRACE_MS = 10 * SECOND_MS;

/** Looks at a running stream whenever something new is known of it. */
export type HoldWatch = (read: Read) => void;

/** Watches the hold of `journey`; `end` is called at most once, with the reason. */
export function watchHold(journey: Journey, end: (word: StopWord) => void): HoldWatch {
  const { hold } = journey.lease;
  if (hold === undefined) return () => undefined;
  const slice = Math.max(1, hold.heldOutputTokensUpTo);
  const state = { upTo: hold.heldOutputTokensUpTo, asking: false, refused: false, ended: false };
  let usedUpAt: number | null = null;
  const finish = (word: StopWord): void => {
    if (state.ended) return;
    state.ended = true;
    end(word);
  };
  const ask = (spent: number): void => {
    const wanted = Math.min(hold.outputTokensMax, Math.max(state.upTo, spent) + slice);
    state.asking = true;
    extend(journey, wanted)
      .then((answer) => {
        if (answer.state === 'held') state.upTo = Math.max(state.upTo, answer.heldOutputTokensUpTo);
        if (answer.state === 'stop') finish(answer.closing);
        if (answer.state === 'closed' || answer.state === 'unknown') finish('stopped');
        state.refused = answer.state === 'refused';
      })
      .catch((error: unknown) => {
        // Asked again with the next reading.
        log('extend-lost', { request: journey.requestId, error: String(error) });
      })
      .finally(() => {
        state.asking = false;
      });
  };
  return (read) => {
    if (state.ended) return;
    // No true upstream writes on beyond what was asked for; nothing more is held for one that does.
    if (isBeyond(read, hold.outputTokensMax)) finish('cut-by-credit');
    if (state.ended || state.upTo >= hold.outputTokensMax) return;
    const spent = spentTokens(read, journey);
    if (spent < state.upTo) usedUpAt = null;
    else if (state.refused) finish('cut-by-credit');
    else usedUpAt ??= Date.now();
    if (usedUpAt !== null && Date.now() - usedUpAt > GRACE_MS) finish('cut-by-credit');
    if (!state.asking && spent >= nextExtensionAt(state.upTo, slice)) ask(spent);
  };
}

function extend(journey: Journey, heldOutputTokensUpTo: number) {
  const { walletId, region } = journey.bearer.parts;
  const { seq, requestId } = journey.lease;
  return ledgerOf(journey.env, walletId, region).extend({ seq, requestId, heldOutputTokensUpTo });
}

/** Whether an answer that goes on reports more output than it may have, by more than the lag. */
function isBeyond({ reading }: Read, outputTokensMax: number): boolean {
  // An absurd count says nothing: its answer is estimated.
  if (reading.finished || reading.flags.includes('usage-absurd')) return false;
  return reading.reportedOutputTokens > outputTokensMax + hiddenThinkingTokens(LAG_MS);
}

/**
 * What is known, what was thought unseen at the model's top speed, calls of tools beyond those
 * held for, and the reading's own lag.
 */
function spentTokens(read: Read, journey: Journey): number {
  const seen = outputSoFar({ ...read, hiddenThinkingMs: 0 }, journey);
  const heldCalls = journey.body?.essentials.sizes.serverToolUses ?? 0;
  const called = toolsAsOutput(read, journey, heldCalls);
  return seen + called + hiddenThinkingTokens(read.hiddenThinkingMs + LAG_MS);
}
