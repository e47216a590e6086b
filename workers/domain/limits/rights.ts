// Whether what somebody wants to allow a key stays within what the owner may do. The owner's
// limits hold beside the key's in any case (limits.ts); this only refuses to write down what would
// never be.

import type { LimitSet, WindowKind } from './limit-set';
import { WINDOW_KINDS } from './limit-set';

/**
 * The first field of `wanted` that allows more than `own` does, with why; null: none. A limit that
 * the owner has and the key lacks is no more: the owner's holds.
 */
export function beyondRights(
  wanted: LimitSet,
  own: LimitSet,
): { readonly field: string; readonly why: string } | null {
  for (const kind of WINDOW_KINDS) {
    const beyond = beyondWindows(wanted, own, kind);
    if (beyond !== null) return beyond;
  }
  const { concurrency } = wanted;
  if (concurrency !== undefined && own.concurrency !== undefined && concurrency > own.concurrency) {
    return { field: 'limits.concurrency', why: `may be at most ${own.concurrency}` };
  }
  return beyondGroups(wanted, own) ?? beyondBudgets(wanted, own);
}

/** An owner who is bound to some accounts may bind a key to fewer of them, never to others. */
function beyondGroups(wanted: LimitSet, own: LimitSet) {
  const { groups: bound } = own;
  if (bound === undefined) return null;
  const index = (wanted.groups ?? []).findIndex((group) => !bound.includes(group));
  return index < 0
    ? null
    : { field: `limits.groups[${index}]`, why: `may be ${bound.join(' or ')}` };
}

function beyondWindows(wanted: LimitSet, own: LimitSet, kind: WindowKind) {
  for (const [index, { limit, spanMs }] of (wanted[kind] ?? []).entries()) {
    // In a window that is no longer at most so much can pass.
    const bounds = (own[kind] ?? []).filter((bound) => bound.spanMs >= spanMs);
    const most = Math.min(...bounds.map((bound) => bound.limit));
    if (limit > most) {
      return { field: `limits.${kind}[${index}].limit`, why: `may be at most ${most}` };
    }
  }
  return null;
}

function beyondBudgets(wanted: LimitSet, own: LimitSet) {
  for (const [index, { period, family, limitNanos }] of (wanted.budgets ?? []).entries()) {
    const bounds = (own.budgets ?? []).filter(
      (bound) => bound.period === period && (bound.family ?? family) === family,
    );
    const most = Math.min(...bounds.map((bound) => bound.limitNanos));
    if (limitNanos > most) {
      const field = `limits.budgets[${index}].limitNanos`;
      return { field, why: `may be at most ${most}` };
    }
  }
  return null;
}
