// A request's row as its owner may see it: shorter for lists, whole for one. It leaves out the tag
// of the conversation and decides nothing.

import type { Nanos } from '../money';
import { ZERO_NANOS } from '../money';
import { heldBy, overrunOfRow } from './held';
import type { OpenRequest, OwnRequest, OwnRequestDetail, RequestsCall } from './reads';
import { closingOf, countsOf, modelOf } from './rollup';
import type { Entry, RequestRow } from './row';

/** The row as a list shows it. */
export function ownRequestOf(row: RequestRow): OwnRequest {
  const { requestId, keyId, admittedAt, opened, outcome, known, closed } = row;
  return {
    requestId,
    keyId,
    userId: opened?.userId ?? null,
    admittedAt,
    closedAt: outcome?.closedAt ?? null,
    model: modelOf(row),
    closing: outcome === null ? null : closingOf(row),
    certainty: known?.certainty ?? null,
    status: closed?.status ?? null,
    costNanos: costOf(row),
    heldNanos: outcome === null ? heldBy(row) : ZERO_NANOS,
    counts: countsOf(row),
    flags: closed?.usage.flags ?? [],
    accountId: closed?.accountId ?? null,
    timings: closed?.timings ?? null,
    tags: opened?.tags ?? {},
  };
}

/** The row with everything that is kept of it; `corrections`: its own entries, oldest first. */
export function ownRequestDetailOf(
  row: RequestRow,
  corrections: readonly Entry[],
): OwnRequestDetail {
  const { closed, hold, outcome, known, opened, stoppedBy = null } = row;
  const { movedNanos = ZERO_NANOS, accountNanos = null } = closed ?? {};
  return {
    ...ownRequestOf(row),
    opened: openedOf(row),
    attempts: closed?.attempts ?? [],
    usage: closed?.usage ?? null,
    first: outcome === null ? null : firstOf(outcome),
    corrections: corrections.map(({ at, amountNanos, reason }) => ({ at, amountNanos, reason })),
    hold: hold === undefined ? null : holdOf(hold),
    overrunNanos: known === null ? ZERO_NANOS : overrunOfRow(row, known.costNanos),
    movedNanos,
    movedFrom: movedNanos > 0 ? (opened?.warm?.accountId ?? null) : null,
    accountNanos,
    stoppedBy,
  };
}

/** The row of a request that runs, as a balance names it. */
export function openRequestOf(row: RequestRow): OpenRequest {
  const { requestId, keyId, admittedAt } = row;
  const model = modelOf(row);
  return { requestId, keyId, model, admittedAt, heldNanos: heldBy(row), costNanos: costOf(row) };
}

/** Whether a list with this filter shows the row. */
export function isRequestAsked(
  row: RequestRow,
  { keyId, model, closing, since, until }: Omit<RequestsCall, 'before' | 'limit'>,
): boolean {
  return (
    (keyId === undefined || row.keyId === keyId) &&
    (model === undefined || modelOf(row) === model || row.opened?.model === model) &&
    (closing === undefined || (row.outcome === null ? 'open' : closingOf(row)) === closing) &&
    (since === undefined || row.admittedAt >= since) &&
    (until === undefined || row.admittedAt < until)
  );
}

function costOf({ known, progress }: RequestRow): Nanos {
  return known?.costNanos ?? progress?.costNanos ?? ZERO_NANOS;
}

function openedOf({ opened }: RequestRow): OwnRequestDetail['opened'] {
  if (opened === null) return null;
  const { model, price, pricesVersion, sizes, likelyInputNanos } = opened;
  return { model, price, pricesVersion, sizes, likelyInputNanos };
}

function firstOf({ closing, certainty, costNanos }: NonNullable<RequestRow['outcome']>) {
  return { closing, certainty, costNanos };
}

function holdOf({ parts, boundNanos }: NonNullable<RequestRow['hold']>) {
  const { inputNanos, toolsNanos, outputNanos, heldOutputTokensUpTo } = parts;
  return { inputNanos, toolsNanos, outputNanos, heldOutputTokensUpTo, boundNanos };
}
