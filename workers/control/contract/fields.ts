// Fields that many endpoints share. Money is whole nano-dollars, instants are Unix milliseconds.

import * as z from 'zod/mini';
import type { IdKind } from '../../domain/ids';
import { BASE58_CLASS, ID_PREFIXES } from '../../domain/ids';
import type { LimitScope } from '../../domain/errors';
import type { LimitSet } from '../../domain/limits/limit-set';
import { checkLimitSet } from '../../domain/limits/limit-set';
import { isTimeZone } from '../../domain/limits/calendar';

/** An id of `kind`. */
export function id<K extends IdKind>(kind: K) {
  const form = new RegExp(`^${ID_PREFIXES[kind]}_${BASE58_CLASS}{22}$`);
  return z.templateLiteral([`${ID_PREFIXES[kind]}_`, z.string()]).check(z.regex(form));
}

/** Trimmed; one spelling a person. */
export const email = z.string().check(z.trim(), z.toLowerCase(), z.email(), z.maxLength(254));
export const password = z.string().check(z.minLength(10), z.maxLength(200));
/** No line ends, nothing that moves a cursor or ends a text early, no half of a character. */
const isPlain = z.refine<string>((text) => !/[\p{Cc}\p{Cs}]/u.test(text), {
  error: 'must be one line without control characters',
});
/** A name that people read. */
export const label = z.string().check(z.trim(), z.minLength(1), z.maxLength(100), isPlain);
export const reason = z.string().check(z.trim(), z.minLength(1), z.maxLength(500), isPlain);
export const timeZone = z
  .string()
  .check(z.maxLength(64), z.refine(isTimeZone, { error: 'must be an IANA time zone' }));
export const tags = z
  .array(z.string().check(z.trim(), z.minLength(1), z.maxLength(64), isPlain))
  .check(z.maxLength(20));

/** Whole nano-dollars, signed. zod's `int` is a safe integer. */
export const nanos = z.int();
export const positiveNanos = z.int().check(z.positive());
/** The end of the year 9999: later is no date, and whoever shows one would fail. */
const INSTANT_MAX = 253_402_300_799_999;
/** Unix ms. */
export const instant = z.int().check(z.nonnegative(), z.maximum(INSTANT_MAX));
/** Unix ms, in a query. */
export const moment = z.optional(
  z.coerce.number().check(z.int(), z.nonnegative(), z.maximum(INSTANT_MAX)),
);

/**
 * Limits of `holder` (ledger.md §5 of the design); `{}` limits nothing. By its title the API's
 * description finds what is written of them by hand (scripts/openapi/schemas.mjs).
 */
export function limits(holder: LimitScope) {
  return z.custom<LimitSet>().check(
    z.superRefine((value, context) => {
      const checked = checkLimitSet(value, holder);
      if (!checked.ok && checked.error.kind === 'bad-request') {
        context.addIssue({ code: 'custom', message: checked.error.message, input: value });
      }
    }),
    z.meta({ title: holder === 'key' ? 'KeyLimits' : 'HolderLimits' }),
  );
}

/** How a limit of a key, its user or its wallet stands (domain/ledger/limited.ts). */
export const limitStanding = z.strictObject({
  scope: z.enum(['key', 'user', 'wallet']),
  kind: z.enum(['requests', 'tokens', 'cost', 'concurrency', 'budget']),
  spanMs: z.exactOptional(z.int()),
  period: z.exactOptional(z.enum(['day', 'week', 'month', 'total'])),
  family: z.exactOptional(z.string()),
  /** Requests, tokens, requests at once, or nano-dollars. */
  limit: z.int(),
  used: z.int(),
  remaining: z.int(),
  /** Unix ms; null: never, or whenever a request ends. */
  resetsAt: z.nullable(z.int()),
});

/** The part of a query that pages through a list. */
export const paging = {
  /** `next` of the page before. */
  cursor: z.optional(z.string().check(z.minLength(1), z.maxLength(200))),
  limit: z.optional(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(200))),
} as const;

/** A page of `item`s; `next` is the cursor of the following page, null at the end. */
export function pageOf<T extends z.ZodMiniType>(item: T) {
  return z.strictObject({ items: z.array(item), next: z.nullable(z.string()) });
}

/** `format=csv` in a query asks for a file. */
export const format = z.optional(z.enum(['json', 'csv']));
