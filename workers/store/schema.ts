// The tables of the D1 database that the relay lives on; those of the control plane alone are in
// schema-control.ts. `drizzle-kit generate` makes a migration from it;
// STRICT and WITHOUT ROWID are then added by hand (drizzle cannot say them). It holds no query.
// docs/storage.md says who owns a row and how long it lives.

import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import type { AccountId, KeyId, RequestId, UserId, WalletId } from '../domain/ids';
import type { Certainty, Closing } from '../domain/ledger/calls';
import type { Factor, PriceRow } from '../domain/pricing/catalogue';
import type { Region } from '../domain/region';
import type { AccountKind, ActiveHours, SnapshotAccount } from '../domain/snapshot';
import { nanosColumn } from './columns';

/** JSON of a LimitSet; `{}` limits nothing. Last, as added columns stand. */
const limitsColumn = () => text('limits').notNull().default('{}');

/** People. A deleted one stays as a tombstone. */
export const users = sqliteTable('users', {
  id: text('id').$type<UserId>().primaryKey(),
  /** Trimmed and lower-case, so that unique means one person. */
  email: text('email').notNull().unique('users_email'),
  name: text('name').notNull(),
  role: text('role', { enum: ['admin', 'user', 'viewer'] }).notNull(),
  /** argon2id as a PHC string. */
  password: text('password').notNull(),
  status: text('status', { enum: ['active', 'suspended', 'deleted'] }).notNull(),
  /** IANA name. */
  timeZone: text('time_zone').notNull(),
  version: integer('version').notNull(),
  createdAt: integer('created_at').notNull(),
  limits: limitsColumn(),
  /** JSON array of whole percents of a budget at which its user wants to be told. */
  alertPercents: text('alert_percents').notNull().default('[50,80,100]'),
});

/** What pays. Its balance is in its Ledger object; `balances` is a copy for reports. */
export const wallets = sqliteTable(
  'wallets',
  {
    id: text('id').$type<WalletId>().primaryKey(),
    userId: text('user_id').$type<UserId>().notNull(),
    /** Where the object lives; given once. */
    region: text('region').$type<Region>().notNull(),
    status: text('status', { enum: ['active', 'suspended', 'deleted'] }).notNull(),
    version: integer('version').notNull(),
    createdAt: integer('created_at').notNull(),
    limits: limitsColumn(),
  },
  (table) => [index('wallets_user').on(table.userId)],
);

/** API keys; the key itself is never stored. */
export const keys = sqliteTable(
  'keys',
  {
    id: text('id').$type<KeyId>().primaryKey(),
    walletId: text('wallet_id').$type<WalletId>().notNull(),
    userId: text('user_id').$type<UserId>().notNull(),
    name: text('name').notNull(),
    /** SHA-256 of the whole key, base64url. */
    hash: text('hash').notNull(),
    /** Of the key before a rotation, which opens until `previous_until` (Unix ms). */
    previousHash: text('previous_hash'),
    previousUntil: integer('previous_until'),
    /** Version of the secret that signed the key: a version goes when no live key uses it. */
    tagVersion: text('tag_version').notNull(),
    status: text('status', { enum: ['active', 'disabled', 'deleted'] }).notNull(),
    /** Unix ms; null: never. */
    expiresAt: integer('expires_at'),
    version: integer('version').notNull(),
    createdAt: integer('created_at').notNull(),
    limits: limitsColumn(),
    /** What becomes of an answer whose client has gone: ended at once, or read on for a while. */
    whenClientLeaves: text('when_client_leaves', { enum: ['cancel', 'drain'] })
      .notNull()
      .default('cancel'),
    /** JSON array of the user's own words for it. */
    tags: text('tags').notNull().default('[]'),
  },
  (table) => [index('keys_user').on(table.userId)],
);

/** Upstream credentials, sealed. */
export const accounts = sqliteTable('accounts', {
  id: text('id').$type<AccountId>().primaryKey(),
  name: text('name').notNull(),
  kind: text('kind').$type<AccountKind>().notNull(),
  /** Without a trailing slash. */
  baseUrl: text('base_url').notNull(),
  credentialKeyVersion: text('credential_key_version').notNull(),
  credentialIv: text('credential_iv').notNull(),
  credentialCiphertext: text('credential_ciphertext').notNull(),
  status: text('status').$type<SnapshotAccount['status']>().notNull(),
  group: text('cache_group'),
  weight: integer('weight').notNull(),
  priority: integer('priority').notNull(),
  /** JSON array; null: every model that has a price. */
  models: text('models', { mode: 'json' }).$type<readonly string[]>(),
  /** Rows of the environment follow it (store/environment.ts); the others are an admin's. */
  origin: text('origin', { enum: ['environment', 'admin'] }).notNull(),
  version: integer('version').notNull(),
  createdAt: integer('created_at').notNull(),
  /** What the fields mean: SnapshotAccount. Last, as added columns stand. */
  modelNames: text('model_names', { mode: 'json' })
    .$type<Readonly<Record<string, string>>>()
    .notNull()
    .default({}),
  region: text('region'),
  project: text('project'),
  workspace: text('workspace'),
  groups: text('groups', { mode: 'json' }).$type<readonly string[]>().notNull().default([]),
  maxConcurrency: integer('max_concurrency'),
  dailyCapNanos: nanosColumn('daily_cap_nanos'),
  monthlyCapNanos: nanosColumn('monthly_cap_nanos'),
  isHard: integer('is_hard', { mode: 'boolean' }).notNull().default(false),
  activeHours: text('active_hours', { mode: 'json' }).$type<ActiveHours>(),
  egress: text('egress').$type<Region>(),
  costFactor: text('cost_factor', { mode: 'json' }).$type<Factor>().notNull().default([1, 1]),
  ownPrices: text('own_prices', { mode: 'json' })
    .$type<readonly PriceRow[]>()
    .notNull()
    .default([]),
  allowsOtherHost: integer('allows_other_host', { mode: 'boolean' }).notNull().default(false),
  /** For admins alone: the relay does not get it. */
  notes: text('notes').notNull().default(''),
});

/** Price rows. Those of source `list` come with the release, those of `admin` are never touched. */
export const prices = sqliteTable('prices', {
  id: text('id').primaryKey(),
  model: text('model').notNull(),
  effectiveFrom: integer('effective_from').notNull(),
  /** JSON of a PriceRow. */
  document: text('document').notNull(),
  source: text('source', { enum: ['list', 'admin'] }).notNull(),
  version: integer('version').notNull(),
});

/** Other names of models. */
export const aliases = sqliteTable('aliases', {
  alias: text('alias').primaryKey(),
  model: text('model').notNull(),
  source: text('source', { enum: ['list', 'admin'] }).notNull(),
});

/** Named values. `snapshot_version` is its row's `version` alone. */
export const settings = sqliteTable('settings', {
  name: text('name').primaryKey(),
  /** JSON. */
  value: text('value').notNull(),
  version: integer('version').notNull(),
});

/** What must still reach an object; written in the batch of the change, gone when delivered. */
export const outbox = sqliteTable('outbox', {
  /** `<kind>:<subject>:<version>`, for a user with the wallet behind it; one row a version. */
  id: text('id').primaryKey(),
  kind: text('kind', { enum: ['key', 'user', 'wallet', 'credit', 'snapshot'] }).notNull(),
  subjectId: text('subject_id').notNull(),
  /** Whose Ledger object; null for the snapshot, which goes to Pool. */
  walletId: text('wallet_id').$type<WalletId>(),
  region: text('region').$type<Region>(),
  version: integer('version').notNull(),
  /** JSON: a Copy, a CreditCall, or null. */
  payload: text('payload').notNull(),
  createdAt: integer('created_at').notNull(),
});

/** Token counts, in the units that are priced. */
const counts = {
  inputTokens: integer('input_tokens').notNull(),
  cacheWrite5mTokens: integer('cache_write_5m_tokens').notNull(),
  cacheWrite1hTokens: integer('cache_write_1h_tokens').notNull(),
  cacheReadTokens: integer('cache_read_tokens').notNull(),
  outputTokens: integer('output_tokens').notNull(),
  webSearches: integer('web_searches').notNull(),
  costNanos: nanosColumn('cost_nanos').notNull(),
} as const;

/** JSON of counts by bucket (sum-columns.ts): whole duration, and time to the first byte. */
const histograms = {
  totalHistogram: text('total_histogram').notNull(),
  firstByteHistogram: text('first_byte_histogram').notNull(),
} as const;

/** The request log: the id is ordered by time and the only index, so a line costs one row. */
export const requests = sqliteTable('requests', {
  id: text('id').$type<RequestId>().primaryKey(),
  /** Unix ms; everything is dated by it. */
  admittedAt: integer('admitted_at').notNull(),
  walletId: text('wallet_id').$type<WalletId>().notNull(),
  userId: text('user_id').$type<UserId>().notNull(),
  keyId: text('key_id').$type<KeyId>().notNull(),
  model: text('model').notNull(),
  /** Of the price row that it was priced with. */
  priceId: text('price_id'),
  accountId: text('account_id').$type<AccountId>(),
  closing: text('closing').$type<Closing>().notNull(),
  certainty: text('certainty').$type<Certainty>().notNull(),
  status: integer('status'),
  ...counts,
  admitMs: integer('admit_ms'),
  firstByteMs: integer('first_byte_ms'),
  totalMs: integer('total_ms'),
  /** JSON array of UsageFlag. */
  flags: text('flags').notNull(),
  /** JSON array of Attempt. */
  attempts: text('attempts').notNull(),
  session: text('session'),
  agent: text('agent'),
  requestClass: text('request_class'),
  prompt: text('prompt'),
});

/** Sums per quarter of an hour; statements add to a row, never set it. '' where there is none. */
export const rollups = sqliteTable(
  'rollups',
  {
    /** Unix ms at which the 15 minutes (UTC) begin. */
    slot: integer('slot').notNull(),
    userId: text('user_id').notNull(),
    keyId: text('key_id').notNull(),
    model: text('model').notNull(),
    accountId: text('account_id').notNull(),
    closing: text('closing').$type<Closing>().notNull(),
    requests: integer('requests').notNull(),
    ...counts,
    ...histograms,
  },
  (table) => [
    primaryKey({
      columns: [table.slot, table.userId, table.keyId, table.model, table.accountId, table.closing],
    }),
    // One's own: a row more where a sum begins, none where one is added to.
    index('rollups_user').on(table.userId, table.slot),
  ],
);

/** Sums per day (UTC) and account; statements add to a row, never set it. */
export const accountDays = sqliteTable(
  'account_days',
  {
    /** Unix ms at which the day begins. */
    day: integer('day').notNull(),
    accountId: text('account_id').$type<AccountId>().notNull(),
    /** That it answered last. */
    requests: integer('requests').notNull(),
    /** Of these, of conversations whose cache another account had; and what that cost. */
    moves: integer('moves').notNull(),
    movedNanos: nanosColumn('moved_nanos').notNull(),
    /** Its attempts that nobody got an answer of; and what they may have cost it. */
    absorbedAttempts: integer('absorbed_attempts').notNull(),
    absorbedNanos: nanosColumn('absorbed_nanos').notNull(),
    /** What its answers are said to have cost it. */
    accountNanos: nanosColumn('account_nanos').notNull(),
  },
  (table) => [primaryKey({ columns: [table.day, table.accountId] })],
);

/** Everybody's: sums of rollups by blocks of hours, whoever sent the requests. */
export const usageTotals = sqliteTable(
  'usage_totals',
  {
    /** How long a block is: 1, 6 or 24. */
    hours: integer('hours').notNull(),
    /** Unix ms: a whole number of blocks (UTC). */
    startsAt: integer('starts_at').notNull(),
    model: text('model').notNull(),
    accountId: text('account_id').notNull(),
    closing: text('closing').$type<Closing>().notNull(),
    requests: integer('requests').notNull(),
    ...counts,
    ...histograms,
  },
  (table) => [
    primaryKey({
      columns: [table.hours, table.startsAt, table.model, table.accountId, table.closing],
    }),
  ],
);

/** Of each key: sums of rollups by days (UTC), whatever the model, the account and the closing. */
export const usageDays = sqliteTable(
  'usage_days',
  {
    /** Unix ms at which the day begins. */
    day: integer('day').notNull(),
    userId: text('user_id').notNull(),
    keyId: text('key_id').notNull(),
    requests: integer('requests').notNull(),
    /** Of the requests, those whose closing is an error. */
    errors: integer('errors').notNull(),
    ...counts,
    ...histograms,
  },
  (table) => [primaryKey({ columns: [table.day, table.userId, table.keyId] })],
);

/** The number of the last batch that a wallet's object has brought here. */
export const ledgerCursor = sqliteTable('ledger_cursor', {
  walletId: text('wallet_id').$type<WalletId>().primaryKey(),
  n: integer('n').notNull(),
});

/** Balances as of the last batch: for reports, never for a decision. */
export const balances = sqliteTable('balances', {
  walletId: text('wallet_id').$type<WalletId>().primaryKey(),
  balanceNanos: nanosColumn('balance_nanos').notNull(),
  /** Unix ms. */
  asOf: integer('as_of').notNull(),
});

/** Closings that could not reach their object in time; the cron replays them. */
export const lateSettles = sqliteTable('late_settles', {
  requestId: text('request_id').$type<RequestId>().primaryKey(),
  walletId: text('wallet_id').$type<WalletId>().notNull(),
  region: text('region').$type<Region>().notNull(),
  /** JSON of a SettleCall. */
  payload: text('payload').notNull(),
  createdAt: integer('created_at').notNull(),
});
