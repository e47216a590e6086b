// The limits of a key, a user or a wallet as their rows store them, and the check of what someone
// wants to store. It decides no request; limits.ts does.

import type { LimitScope, RelayError } from '../errors';
import type { Nanos } from '../money';
import type { Result } from '../result';
import { fail, ok } from '../result';
import { HOUR_MS, SECOND_MS } from '../time';
import type { CalendarPeriod } from './calendar';
import type { ModelRules } from './scope';
import { isAddressRange } from './scope';

/** At most `limit` in any `spanMs`. */
export interface WindowLimit {
  /** Requests, tokens or nano-dollars; at least 1. */
  readonly limit: number;
  /** 1 second to 24 hours. */
  readonly spanMs: number;
}

export type BudgetPeriod = CalendarPeriod | 'total';

export interface BudgetLimit {
  readonly period: BudgetPeriod;
  readonly limitNanos: Nanos;
  /** Of the price list (`opus`, …): only what models of it cost counts. */
  readonly family?: string;
}

export const WINDOW_KINDS = ['requests', 'tokens', 'cost'] as const;
export type WindowKind = (typeof WINDOW_KINDS)[number];

const PROTOCOLS = ['anthropic', 'openai', 'gemini'] as const;
export type LimitedProtocol = (typeof PROTOCOLS)[number];

/** What is left out is not limited; `{}` limits nothing. */
export interface LimitSet {
  readonly requests?: readonly WindowLimit[];
  readonly tokens?: readonly WindowLimit[];
  readonly cost?: readonly WindowLimit[];
  /** Metered requests at once. */
  readonly concurrency?: number;
  readonly budgets?: readonly BudgetLimit[];
  /** Labels of accounts: of each set that is there, the account that answers has one. */
  readonly groups?: readonly string[];
  /** From here on: keys only. */
  readonly models?: ModelRules;
  readonly protocols?: readonly LimitedProtocol[];
  /** Patterns of user agents. */
  readonly clients?: readonly string[];
  /** Addresses and CIDR ranges. */
  readonly addresses?: readonly string[];
  /** The key's life begins at its first use and lasts this long. */
  readonly activation?: { readonly lifetimeMs: number };
  /** How long a turn may wait for the account that has its cache; absent: as long as may be. */
  readonly waitsForCacheMs?: number;
}

/** Each is a counter of up to 1,000 buckets in the wallet's object. */
const WINDOWS_MAX = 4;
const BUDGETS_MAX = 16;
const GROUPS_MAX = 20;
const GROUP_CHARACTERS_MAX = 64;
const PATTERNS_MAX = 64;
const PATTERN_CHARACTERS_MAX = 128;
const SPAN_MAX_MS = 24 * HOUR_MS;
const CONCURRENCY_MAX = 10_000;
const LIFETIME_MAX_MS = 10 * 366 * 24 * HOUR_MS;
/** So long is what a turn waits for its account at most. */
const WAIT_MAX_MS = 20 * SECOND_MS;
const PERIODS: readonly BudgetPeriod[] = ['day', 'week', 'month', 'total'];

/** Checks one value; answers what is wrong with it, beginning with where, or null. */
type Check = (value: unknown, at: string) => string | null;

/**
 * `value` as the limits of `holder`. Fails with `bad-request` naming the first field that is wrong:
 * unknown, beyond its bounds, an empty list (which would allow nothing), or not of this holder.
 */
export function checkLimitSet(
  value: unknown,
  holder: LimitScope = 'key',
): Result<LimitSet, RelayError> {
  const problem = fields(holder === 'key' ? { ...SHARED, ...OF_KEYS } : SHARED)(value, 'limits');
  if (problem !== null) return fail({ kind: 'bad-request', message: problem });
  // Every field was just checked, and there is none besides.
  return ok(value as LimitSet);
}

/**
 * Until when (Unix ms) a key may be used: its date of expiry or the end of the life that began with
 * its first use, whichever comes first; null: for ever. A key not used yet has not begun it.
 */
export function usableUntil(key: {
  readonly limits: LimitSet;
  readonly expiresAt: number | null;
  readonly firstUsedAt: number | null;
}): number | null {
  const { limits, expiresAt, firstUsedAt } = key;
  if (limits.activation === undefined || firstUsedAt === null) return expiresAt;
  const endsAt = firstUsedAt + limits.activation.lifetimeMs;
  return expiresAt === null ? endsAt : Math.min(expiresAt, endsAt);
}

const windows: Check = list(
  WINDOWS_MAX,
  fields({ limit: whole(1, Number.MAX_SAFE_INTEGER), spanMs: whole(SECOND_MS, SPAN_MAX_MS) }, [
    'limit',
    'spanMs',
  ]),
);

const patterns: Check = list(PATTERNS_MAX, text(PATTERN_CHARACTERS_MAX));

const SHARED: Readonly<Record<string, Check>> = {
  requests: windows,
  tokens: windows,
  cost: windows,
  concurrency: whole(1, CONCURRENCY_MAX),
  budgets: list(
    BUDGETS_MAX,
    fields(
      {
        period: oneOf(PERIODS),
        limitNanos: whole(0, Number.MAX_SAFE_INTEGER),
        family: text(PATTERN_CHARACTERS_MAX),
      },
      ['period', 'limitNanos'],
    ),
  ),
  groups: list(GROUPS_MAX, text(GROUP_CHARACTERS_MAX)),
};

const OF_KEYS: Readonly<Record<string, Check>> = {
  models: fields({ allow: patterns, deny: patterns }),
  protocols: list(PROTOCOLS.length, oneOf(PROTOCOLS)),
  clients: patterns,
  addresses: list(PATTERNS_MAX, addressRange),
  activation: fields({ lifetimeMs: whole(SECOND_MS, LIFETIME_MAX_MS) }, ['lifetimeMs']),
  waitsForCacheMs: whole(0, WAIT_MAX_MS),
};

function fields(known: Readonly<Record<string, Check>>, needed: readonly string[] = []): Check {
  return (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return `${at}: must be an object`;
    }
    const missing = needed.find((name) => !Object.hasOwn(value, name));
    if (missing !== undefined) return `${at}.${missing}: is required`;
    for (const [name, item] of Object.entries(value)) {
      const check = Object.hasOwn(known, name) ? known[name] : undefined;
      // The name is the sender's own word, cut to a length that can be shown.
      if (check === undefined) return `${at}.${name.slice(0, 64)}: is not a limit here`;
      const problem = check(item, `${at}.${name}`);
      if (problem !== null) return problem;
    }
    return null;
  };
}

function list(itemsMax: number, check: Check): Check {
  return (value, at) => {
    if (!Array.isArray(value) || value.length === 0 || value.length > itemsMax) {
      return `${at}: must be a list of 1 to ${itemsMax}; leave it out for no limit`;
    }
    for (let index = 0; index < value.length; index += 1) {
      const problem = check(value[index], `${at}[${index}]`);
      if (problem !== null) return problem;
    }
    return null;
  };
}

function whole(min: number, max: number): Check {
  return (value, at) =>
    Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max
      ? null
      : `${at}: must be a whole number from ${min} to ${max}`;
}

function text(charactersMax: number): Check {
  return (value, at) =>
    typeof value === 'string' && value.length > 0 && value.length <= charactersMax
      ? null
      : `${at}: must be a text of 1 to ${charactersMax} characters`;
}

function oneOf(choices: readonly string[]): Check {
  return (value, at) =>
    choices.some((choice) => choice === value) ? null : `${at}: must be ${choices.join(' or ')}`;
}

function addressRange(value: unknown, at: string): string | null {
  return typeof value === 'string' && isAddressRange(value)
    ? null
    : `${at}: must be an address or a range like 10.0.0.0/8 or 2001:db8::/32, ` +
        'with no bit set behind its prefix';
}
