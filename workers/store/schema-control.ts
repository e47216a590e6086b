// The tables of the control plane alone: logins, tokens, invitations, codes, audit. The relay and
// the Ledger objects never read them. It holds no query; docs/storage.md says who owns a row.

import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import type {
  AuditId,
  CodeBatchId,
  CodeId,
  InviteId,
  RequestId,
  ServiceTokenId,
  SessionId,
  UserId,
  WalletId,
} from '../domain/ids';
import { nanosColumn } from './columns';

/** Where somebody is logged in. The row decides; a token only names it. */
export const sessions = sqliteTable(
  'sessions',
  {
    id: text('id').$type<SessionId>().primaryKey(),
    userId: text('user_id').$type<UserId>().notNull(),
    /** SHA-256 of the refresh token in force, base64url. */
    refreshHash: text('refresh_hash').notNull(),
    /** Of the one before it, which is taken for a few seconds more. */
    previousHash: text('previous_hash'),
    /** Unix ms of the last rotation, of the login at first. */
    rotatedAt: integer('rotated_at').notNull(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
    /** Unix ms; null: it goes on. */
    endedAt: integer('ended_at'),
    /** Why it ended: `logout`, `reuse`, `password`, `admin`, ... */
    endedBy: text('ended_by'),
    userAgent: text('user_agent').notNull(),
    address: text('address').notNull(),
  },
  (table) => [index('sessions_user').on(table.userId)],
);

/** What programs use the admins' API with. */
export const serviceTokens = sqliteTable('service_tokens', {
  id: text('id').$type<ServiceTokenId>().primaryKey(),
  name: text('name').notNull(),
  /** SHA-256 of the whole token, base64url. */
  hash: text('hash').notNull(),
  /** JSON array of scopes. */
  scopes: text('scopes').notNull(),
  createdBy: text('created_by').$type<UserId>().notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  revokedAt: integer('revoked_at'),
});

/** Who may register once where registration is by invitation. */
export const invites = sqliteTable('invites', {
  id: text('id').$type<InviteId>().primaryKey(),
  /** SHA-256 of the invitation's secret, base64url. */
  hash: text('hash').notNull(),
  /** For this address alone; null: for whoever holds it. */
  email: text('email'),
  role: text('role', { enum: ['admin', 'user', 'viewer'] }).notNull(),
  createdBy: text('created_by').notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  usedBy: text('used_by').$type<UserId>(),
  usedAt: integer('used_at'),
  revokedAt: integer('revoked_at'),
});

/** Codes that were made together and share their terms. */
export const codeBatches = sqliteTable('code_batches', {
  id: text('id').$type<CodeBatchId>().primaryKey(),
  name: text('name').notNull(),
  amountNanos: nanosColumn('amount_nanos').notNull(),
  /** How often one code may be redeemed in all, and how many of the batch by one user. */
  usesPerCode: integer('uses_per_code').notNull(),
  usesPerUser: integer('uses_per_user').notNull(),
  expiresAt: integer('expires_at'),
  revokedAt: integer('revoked_at'),
  createdBy: text('created_by').notNull(),
  createdAt: integer('created_at').notNull(),
});

/** A code; its text is never stored. */
export const codes = sqliteTable(
  'codes',
  {
    id: text('id').$type<CodeId>().primaryKey(),
    batchId: text('batch_id').$type<CodeBatchId>().notNull(),
    /** SHA-256 of the code in its one spelling, base64url. */
    hash: text('hash').notNull().unique('codes_hash'),
    uses: integer('uses').notNull(),
    revokedAt: integer('revoked_at'),
  },
  (table) => [index('codes_batch').on(table.batchId)],
);

/** Each use of a code: its number is taken in the batch that gives the money. */
export const redemptions = sqliteTable(
  'redemptions',
  {
    codeId: text('code_id').$type<CodeId>().notNull(),
    /** From 1 on. */
    use: integer('use').notNull(),
    batchId: text('batch_id').$type<CodeBatchId>().notNull(),
    userId: text('user_id').$type<UserId>().notNull(),
    walletId: text('wallet_id').$type<WalletId>().notNull(),
    /** Of the ledger's entry. */
    entryId: text('entry_id').notNull(),
    at: integer('at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.codeId, table.use] }),
    index('redemptions_user').on(table.userId, table.batchId),
  ],
);

/** Who changed what; only ever added to. */
export const audit = sqliteTable(
  'audit',
  {
    id: text('id').$type<AuditId>().primaryKey(),
    at: integer('at').notNull(),
    /** A user's or a service token's id, or a word: `setup`, `cron`. */
    actorId: text('actor_id').notNull(),
    sessionId: text('session_id').$type<SessionId>(),
    address: text('address').notNull(),
    /** Name of the endpoint, such as `tokens.create`. */
    action: text('action').notNull(),
    targetId: text('target_id').notNull(),
    /** JSON; secrets are never in it. */
    before: text('before'),
    after: text('after'),
    requestId: text('request_id').$type<RequestId>().notNull(),
  },
  (table) => [
    index('audit_actor').on(table.actorId, table.id),
    index('audit_target').on(table.targetId, table.id),
  ],
);

/** Answers to repeated calls that create or move money; 24 hours each. */
export const idempotency = sqliteTable(
  'idempotency',
  {
    actorId: text('actor_id').notNull(),
    /** As the caller sent it. */
    key: text('key').notNull(),
    endpoint: text('endpoint').notNull(),
    /** SHA-256 of endpoint, parameters and body, base64url. */
    hash: text('hash').notNull(),
    status: integer('status').notNull(),
    /** JSON, with null in the place of a secret. */
    answer: text('answer').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.actorId, table.key] }),
    index('idempotency_age').on(table.createdAt),
  ],
);

/** Models that somebody asked for and no price is known of. */
export const unknownModels = sqliteTable('unknown_models', {
  model: text('model').primaryKey(),
  firstSeenAt: integer('first_seen_at').notNull(),
  lastSeenAt: integer('last_seen_at').notNull(),
  /** Times noted, at most one a minute from one wallet. */
  times: integer('times').notNull(),
});
