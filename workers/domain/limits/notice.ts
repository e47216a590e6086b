// What a user is told of the own limits: the rate-limit headers of an answer and the document of
// `GET /api/oauth/usage`, in the shapes that Claude Code reads (reference: gateway contract §5).
// The header and the document are made of the same figures, and never tell of a shared account.

import type { Nanos } from '../money';
import { SECOND_MS } from '../time';
import type { WindowFigure } from './counters';
import type { BudgetPeriod } from './limit-set';

/** A cap of money and what of it is used up: a budget, or credit that was bought (`total`). */
export interface CapFigure {
  readonly period: BudgetPeriod;
  readonly limitNanos: Nanos;
  /** Without holds. */
  readonly spentNanos: Nanos;
  /** Unix ms; null: never. */
  readonly resetsAt: number | null;
}

/** What was spent in the running periods by a user who has no cap. */
export interface SpentFigures {
  readonly dayNanos: Nanos;
  readonly weekNanos: Nanos;
  readonly monthNanos: Nanos;
}

/** The document of `GET /api/oauth/usage`; its field names are the client's. */
export interface UsageDocument {
  readonly extra_usage: {
    readonly is_enabled: true;
    readonly monthly_limit: number | null;
    readonly used_credits: number;
    readonly utilization: number | null;
    readonly currency: 'USD';
    readonly daily?: UncappedUsage;
    readonly weekly?: UncappedUsage;
  };
  readonly limits: readonly {
    readonly kind: 'spend';
    readonly group: PeriodName;
    readonly percent: number;
    readonly resets_at: string;
    readonly severity: 'normal' | 'critical';
    readonly is_active: boolean;
  }[];
}

interface UncappedUsage {
  readonly limit: null;
  readonly used_credits: number;
  readonly utilization: null;
}

type PeriodName = (typeof PERIOD_NAMES)[keyof typeof PERIOD_NAMES];

const UNIFIED = 'anthropic-ratelimit-unified';
const PERIOD_NAMES = { day: 'daily', week: 'weekly', month: 'monthly' } as const;
/** Past one of these the client shows its notice. */
const WARNINGS = [0.95, 0.75] as const;
const NANOS_PER_CENT = 10_000_000;

/** The cap of which the largest part is used, the earlier reset of equals; null: there is none. */
export function tightestCap(caps: readonly CapFigure[]): CapFigure | null {
  const [tightest] = caps.toSorted(
    (a, b) => usedPart(b) - usedPart(a) || (a.resetsAt ?? Infinity) - (b.resetsAt ?? Infinity) || 0,
  );
  return tightest ?? null;
}

/** The headers of an answer that was let through under `cap`, the tightest one. */
export function capHeaders(cap: CapFigure): Readonly<Record<string, string>> {
  const part = usedPart(cap);
  const passed = WARNINGS.find((threshold) => part >= threshold);
  const status = passed === undefined ? 'allowed' : 'allowed_warning';
  return {
    [`${UNIFIED}-status`]: status,
    [`${UNIFIED}-overage-status`]: status,
    [`${UNIFIED}-representative-claim`]: 'overage',
    // Below 1 as long as requests are let through.
    [`${UNIFIED}-overage-utilization`]: (Math.min(99, percentOf(cap)) / 100).toFixed(2),
    ...(passed === undefined ? {} : { [`${UNIFIED}-overage-surpassed-threshold`]: String(passed) }),
    ...resetHeaders(cap.resetsAt),
  };
}

/**
 * The headers of the 429 that a spent cap is refused with, beside `retry-after` and
 * `x-should-retry`. Without claim and overage status: with them the client hides the message.
 */
export function rejectedHeaders(cap: {
  readonly period: BudgetPeriod;
  readonly resetsAt: number | null;
  /** Whether others spend from it too. */
  readonly shared: boolean;
}): Readonly<Record<string, string>> {
  const { period, resetsAt, shared } = cap;
  return {
    [`${UNIFIED}-status`]: 'rejected',
    ...resetHeaders(resetsAt),
    [`${UNIFIED}-overage-utilization`]: '1',
    [`${UNIFIED}-overage-surpassed-threshold`]: '1',
    ...(period === 'total' ? {} : { [`${UNIFIED}-overage-period`]: PERIOD_NAMES[period] }),
    [`${UNIFIED}-overage-disabled-reason`]: 'org_spend_cap_reached',
    ...(shared ? { [`${UNIFIED}-overage-scope`]: 'group_pool' } : {}),
  };
}

/** The headers of the user's own windows: of each kind the one of which the least is left. */
export function windowHeaders(figures: readonly WindowFigure[]): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const kind of ['requests', 'tokens'] as const) {
    const [tightest] = figures
      .filter((figure) => figure.kind === kind)
      .toSorted((a, b) => remainingOf(a) - remainingOf(b));
    if (tightest === undefined) continue;
    headers[`anthropic-ratelimit-${kind}-limit`] = String(tightest.limit);
    headers[`anthropic-ratelimit-${kind}-remaining`] = String(remainingOf(tightest));
    headers[`anthropic-ratelimit-${kind}-reset`] = timeOf(tightest.resetsAt);
  }
  return headers;
}

/** The document of the same figures that `capHeaders` shows; without caps, of what was spent. */
export function usageDocument(caps: readonly CapFigure[], spent: SpentFigures): UsageDocument {
  const active = tightestCap(caps);
  const shared = { is_enabled: true, currency: 'USD' } as const;
  if (active === null) {
    const daily = { limit: null, used_credits: centsOf(spent.dayNanos), utilization: null };
    const weekly = { limit: null, used_credits: centsOf(spent.weekNanos), utilization: null };
    const used_credits = centsOf(spent.monthNanos);
    const uncapped = { monthly_limit: null, used_credits, utilization: null };
    return { extra_usage: { ...shared, ...uncapped, daily, weekly }, limits: [] };
  }
  return {
    extra_usage: {
      ...shared,
      // The client's name for the active cap, whatever its period.
      monthly_limit: centsOf(active.limitNanos),
      used_credits: centsOf(active.spentNanos),
      utilization: percentOf(active),
    },
    limits: caps.flatMap((cap) => {
      const { period, resetsAt } = cap;
      // The client knows no other groups; one that never resets stands above alone.
      if (period === 'total' || resetsAt === null) return [];
      return {
        kind: 'spend' as const,
        group: PERIOD_NAMES[period],
        percent: percentOf(cap),
        resets_at: timeOf(resetsAt),
        severity: usedPart(cap) >= WARNINGS[0] ? ('critical' as const) : ('normal' as const),
        is_active: cap === active,
      };
    }),
  };
}

function resetHeaders(resetsAt: number | null): Readonly<Record<string, string>> {
  if (resetsAt === null) return {};
  const seconds = String(secondsOf(resetsAt));
  return { [`${UNIFIED}-reset`]: seconds, [`${UNIFIED}-overage-reset`]: seconds };
}

/** Unix seconds, rounded up: before them nothing has reset. */
function secondsOf(instant: number): number {
  return Math.ceil(instant / SECOND_MS);
}

/** RFC 3339 in UTC, to the same second. */
function timeOf(instant: number): string {
  return new Date(secondsOf(instant) * SECOND_MS).toISOString().replace('.000Z', 'Z');
}

function usedPart({ spentNanos, limitNanos }: CapFigure): number {
  if (limitNanos <= 0) return 1;
  return Math.min(1, Math.max(0, spentNanos / limitNanos));
}

/** Whole percent, rounded down, so that 100 means spent. */
function percentOf({ spentNanos, limitNanos }: CapFigure): number {
  if (limitNanos <= 0 || spentNanos >= limitNanos) return 100;
  if (spentNanos <= 0) return 0;
  return Number((BigInt(spentNanos) * 100n) / BigInt(limitNanos));
}

/** Whole cents, rounded down. */
function centsOf(amount: Nanos): number {
  return Math.floor(Math.max(0, amount) / NANOS_PER_CENT);
}

function remainingOf({ limit, used }: WindowFigure): number {
  return Math.max(0, limit - used);
}
