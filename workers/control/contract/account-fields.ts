// What an upstream account is made of in the API: what an admin sets, what is shown.
// What a kind needs and takes of it is ../accounts/kinds.ts's to say.

import * as z from 'zod/mini';
import { isCloudName } from '../../domain/outbound/official-hosts';
import { REGIONS } from '../../domain/region';
import { ACCOUNT_KINDS } from '../../domain/snapshot';
import { id, instant, label, nanos, positiveNanos, timeZone } from './fields';
import { ownPrice, shownOwnPrice } from './prices';
import { standing } from './account-standing';

const WEIGHT_MAX = 1_000;
const PRIORITY_MAX = 1_000;
const MODELS_MAX = 200;
const GROUPS_MAX = 32;
const CONCURRENCY_MAX = 100_000;
const FACTOR_MAX = 1_000_000;
const OWN_PRICES_MAX = 50;
const NOTES_CHARACTERS_MAX = 2_000;
/** A service account's JSON with its private key has some 2,400. */
const CREDENTIAL_CHARACTERS_MAX = 16_384;
const DAY_MINUTES = 24 * 60;

const kind = z.enum(ACCOUNT_KINDS);
export const accountStatus = z.enum(['active', 'draining', 'disabled']);
export const modelName = z.string().check(z.regex(/^[\x21-\x7e]{1,200}$/));
/** A part of an address. */
const place = z
  .string()
  .check(z.refine(isCloudName, { error: 'must be lower-case letters, digits and hyphens' }));
const workspace = z.string().check(z.regex(/^[\w-]{1,100}$/));

const groupNames = z
  .array(z.string().check(z.regex(/^[\w.-]{1,64}$/)))
  .check(z.maxLength(GROUPS_MAX), unique());

/** What an upstream is called with: a text, or an object that is kept as its JSON. */
export const credential = z.union([
  z.string().check(z.minLength(1), z.maxLength(CREDENTIAL_CHARACTERS_MAX)),
  z.record(z.string(), z.unknown()).check(
    z.refine((value) => JSON.stringify(value).length <= CREDENTIAL_CHARACTERS_MAX, {
      error: 'is too long',
    }),
  ),
]);

const minute = z.int().check(z.minimum(0), z.maximum(DAY_MINUTES));
/** By the clocks of the zone; an end before the beginning is on the next day. */
const activeHours = z
  .strictObject({
    timeZone,
    /** 0 is Sunday. */
    days: z
      .array(z.int().check(z.minimum(0), z.maximum(6)))
      .check(z.minLength(1), z.maxLength(7), unique()),
    fromMinute: minute,
    toMinute: minute,
  })
  .check(
    z.refine(({ fromMinute, toMinute }) => fromMinute !== toMinute, {
      error: 'end when they begin',
    }),
  );

const factorPart = z.int().check(z.positive(), z.maximum(FACTOR_MAX));
/** [numerator, denominator]. */
const costFactor = z.tuple([factorPart, factorPart]);
const models = z.array(modelName).check(z.minLength(1), z.maxLength(MODELS_MAX));
const modelNames = z
  .record(modelName, modelName)
  .check(
    z.refine((names) => Object.keys(names).length <= MODELS_MAX, { error: 'has too many entries' }),
  );
const ownPrices = z.array(ownPrice).check(
  z.maxLength(OWN_PRICES_MAX),
  z.refine((rows) => new Set(rows.map(({ model }) => model)).size === rows.length, {
    error: 'has a model twice',
  }),
);

/** What an admin sets beside name, kind and credential; absent: as it is, or nothing. */
export const settable = {
  /** https at a public name. Absent: the kind's own, by region and project. */
  baseUrl: z.optional(z.string().check(z.maxLength(500))),
  /** The kind's own hosts are not all that may be called. */
  allowsOtherHost: z.optional(z.boolean()),
  /** Of the cloud. */
  region: z.optional(z.nullable(place)),
  /** Google Cloud project, or Foundry resource. */
  project: z.optional(z.nullable(place)),
  /** Anthropic workspace; null: the credential's own. */
  workspace: z.optional(z.nullable(workspace)),
  /** Share of the conversations, relative to others of its priority; 0 takes none. */
  weight: z.optional(z.int().check(z.minimum(0), z.maximum(WEIGHT_MAX))),
  /** Lower is tried first. */
  priority: z.optional(z.int().check(z.minimum(0), z.maximum(PRIORITY_MAX))),
  /** Accounts that share a prompt cache share a group; null: a group of its own. */
  group: z.optional(z.nullable(label)),
  /** What keys and users may be bound to. */
  groups: z.optional(groupNames),
  /** null: every model. */
  models: z.optional(z.nullable(models)),
  /** Public model → what the account calls it. */
  modelNames: z.optional(modelNames),
  status: z.optional(accountStatus),
  /** Requests at once; null: no limit. */
  maxConcurrency: z.optional(z.nullable(z.int().check(z.minimum(1), z.maximum(CONCURRENCY_MAX)))),
  /** By the days and months of UTC, of what the account is said to cost; null: no cap. */
  dailyCapNanos: z.optional(z.nullable(positiveNanos)),
  monthlyCapNanos: z.optional(z.nullable(positiveNanos)),
  /** Caps and concurrency hold exactly, at the price of a call for each request. */
  isHard: z.optional(z.boolean()),
  /** When it takes new requests; null: always. */
  activeHours: z.optional(z.nullable(activeHours)),
  /** Requests leave from this region; null: from where they arrive. */
  egress: z.optional(z.nullable(z.enum(REGIONS))),
  /** What the account is said to cost, relative to the price; users pay the price. */
  costFactor: z.optional(costFactor),
  /** What it is said to cost for these models, before the factor. */
  ownPrices: z.optional(ownPrices),
  /** For admins. */
  notes: z.optional(z.string().check(z.trim(), z.maxLength(NOTES_CHARACTERS_MAX))),
} as const;

const told = {
  id: id('account'),
  name: z.string(),
  kind,
  baseUrl: z.string(),
  allowsOtherHost: z.boolean(),
  region: z.nullable(z.string()),
  project: z.nullable(z.string()),
  workspace: z.nullable(z.string()),
  status: accountStatus,
  group: z.nullable(z.string()),
  groups: z.array(z.string()),
  weight: z.int(),
  priority: z.int(),
  models: z.nullable(z.array(z.string())),
  modelNames: z.record(z.string(), z.string()),
  maxConcurrency: z.nullable(z.int()),
  dailyCapNanos: z.nullable(nanos),
  monthlyCapNanos: z.nullable(nanos),
  isHard: z.boolean(),
  activeHours: z.nullable(
    z.strictObject({
      timeZone: z.string(),
      days: z.array(z.int()),
      fromMinute: z.int(),
      toMinute: z.int(),
    }),
  ),
  egress: z.nullable(z.enum(REGIONS)),
  costFactor: z.tuple([z.int(), z.int()]),
  ownPrices: z.array(shownOwnPrice),
  notes: z.string(),
  /** Those of the environment have name, address and credential from there. */
  origin: z.enum(['environment', 'admin']),
  /** Of the master key that seals the credential. */
  credentialKeyVersion: z.string(),
  createdAt: instant,
} as const;

export const account = z.strictObject(told);
export type Account = z.infer<typeof account>;

export const accountWithState = z.strictObject({ ...told, ...standing });
export type AccountWithState = z.infer<typeof accountWithState>;

/** Each element once. */
function unique<T extends string | number>() {
  return z.refine<readonly T[]>((values) => new Set(values).size === values.length, {
    error: 'has something twice',
  });
}
