// Whether a request is let in, and with what hold: the one decision before dispatch. A plain function
// of what is stored; the object loads, calls and stores.

import type { RelayError } from '../errors';
import type { Nanos } from '../money';
import { addNanos, subtractNanos, ZERO_NANOS } from '../money';
import type { Catalogue, PriceRow } from '../pricing/catalogue';
import { findPrice, resolveModel } from '../pricing/find';
import type { Result } from '../result';
import { fail, ok } from '../result';
import { HELD_RETRY_MS } from '../limits/limits';
import type { AdmitCall } from './calls';
import { recall } from './conversation';
import type { Copies } from './decide';
import { checkKey } from './decide';
import type { Bounds, Hold, HoldDecision } from './hold';
import { boundsOf, decideHold, holdTotal, isLargeHold } from './hold';
import type { RowHold } from './row';
import type { WalletState } from './state';

/** What a request that may run is priced with, and what is held for it. */
export interface Admission {
  /** null where the request names no model. */
  readonly model: string | null;
  readonly price: PriceRow | null;
  readonly likelyInputNanos: Nanos;
  /** null for class `free`, which costs nothing. */
  readonly hold: RowHold | null;
}

export interface AdmitFacts {
  readonly copies: Copies;
  readonly catalogue: Catalogue;
  readonly state: WalletState;
  /** Unix ms by the object's clock. */
  readonly now: number;
}

/** Key, models, held ids, credit, in this order. */
export function decideAdmit(call: AdmitCall, known: AdmitFacts): Result<Admission, RelayError> {
  const refusal = checkKey(known.copies, call.keyHash, known.now);
  if (refusal !== null) return fail(refusal);
  const fallbacks: PriceRow[] = [];
  for (const model of call.fallbackModels) {
    const price = priceOf(model, known);
    if (price === null) return fail({ kind: 'unknown-model', model });
    fallbacks.push(price);
  }
  // Nothing that a provider holds is recorded for any wallet, so every such id is another's.
  const [held] = call.heldIds;
  if (held !== undefined) return fail({ kind: 'held-elsewhere', field: held.field });
  if (call.model === null && call.class === 'metered') {
    // Without a model there is no price, no row and so nobody who pays.
    return fail({ kind: 'bad-request', message: 'model: Field required' });
  }
  if (call.model === null) return ok({ ...FREE, model: null, price: null });
  const price = priceOf(call.model, known);
  if (price === null) return fail({ kind: 'unknown-model', model: call.model });
  if (call.class === 'free') return ok({ ...FREE, model: price.model, price });
  return admitMetered(call, { price, fallbacks, state: known.state, now: known.now });
}

const FREE = { likelyInputNanos: ZERO_NANOS, hold: null } as const;

function priceOf(model: string, { catalogue, now }: AdmitFacts): PriceRow | null {
  const resolved = resolveModel(catalogue, model);
  return resolved === null ? null : findPrice(catalogue, resolved, now);
}

interface MeteredFacts extends Pick<AdmitFacts, 'state' | 'now'> {
  readonly price: PriceRow;
  readonly fallbacks: readonly PriceRow[];
}

function admitMetered(call: AdmitCall, known: MeteredFacts): Result<Admission, RelayError> {
  const { price, fallbacks, state, now } = known;
  const { model } = price;
  const { sizes, asked = null, conversation: tag } = call;
  const conversation = tag === null ? null : recall(state.conversations, { tag, model });
  const isWary = now < state.waryUntil;
  const bounds = boundsOf({ sizes, asked, price, fallbacks, conversation, isWary });
  const { balanceNanos, heldNanos } = state;
  const openMetered = state.open.size;
  const { stream } = sizes;
  const decision = decideHold({ bounds, stream, balanceNanos, heldNanos, openMetered });
  if (decision.do !== 'hold') return fail(refusalOf(decision, balanceNanos));
  const { hold } = decision;
  const besideNanos = subtractNanos(balanceNanos, addNanos(heldNanos, holdTotal(hold, ZERO_NANOS)));
  const { likelyInputNanos } = bounds;
  return ok({ model, price, likelyInputNanos, hold: rowHold(hold, bounds, besideNanos) });
}

function refusalOf(
  decision: Exclude<HoldDecision, { readonly do: 'hold' }>,
  balanceNanos: Nanos,
): RelayError {
  const { neededNanos, neededAsStreamNanos, availableNanos } = decision;
  if (decision.do === 'held') {
    const wait = { spanMs: null, retryAfterMs: HELD_RETRY_MS };
    return { kind: 'rate-limited', scope: 'wallet', what: 'cost', limit: balanceNanos, ...wait };
  }
  const asStream = neededAsStreamNanos < neededNanos ? { neededAsStreamNanos } : {};
  return { kind: 'out-of-credit', neededNanos, availableNanos, ...asStream };
}

/** `besideNanos`: what is available beside the hold. */
function rowHold(parts: Hold, bounds: Bounds, besideNanos: Nanos): RowHold {
  const { inputTokens, inputNanos, toolsNanos, outputTokensMax, outputPicosPerToken } = bounds;
  return {
    parts,
    boundNanos: addNanos(inputNanos, toolsNanos),
    setAsideNanos: addNanos(parts.inputNanos, parts.toolsNanos),
    inputTokens,
    outputTokensMax,
    outputPicosPerToken,
    reportInput: isLargeHold(parts, besideNanos),
  };
}
