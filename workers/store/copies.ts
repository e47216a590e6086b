// Rows as the copies that Ledger objects keep: the same JSON for a load and for a push, made by
// the database so that its version is the one of the change, and checked when read.

import { sql } from 'drizzle-orm';
import * as z from 'zod/mini';
import type { LimitScope } from '../domain/errors';
import type { KeyId, UserId, WalletId } from '../domain/ids';
import { isId } from '../domain/ids';
import type { Copy } from '../domain/ledger/copies';
import type { LimitSet } from '../domain/limits/limit-set';
import { checkLimitSet } from '../domain/limits/limit-set';
import { keys, users, wallets } from './schema';

/** JSON of the KeyCopy of a row of `keys`. */
export const KEY_COPY = sql<string>`json_object('kind', 'key', 'id', ${keys.id},
  'walletId', ${keys.walletId}, 'userId', ${keys.userId}, 'name', ${keys.name},
  'hash', ${keys.hash}, 'previous', CASE WHEN ${keys.previousHash} IS NULL THEN NULL
    ELSE json_object('hash', ${keys.previousHash}, 'until', ${keys.previousUntil}) END,
  'status', ${keys.status}, 'expiresAt', ${keys.expiresAt}, 'version', ${keys.version},
  'limits', json(${keys.limits}), 'whenClientLeaves', ${keys.whenClientLeaves})`;

/** JSON of the UserCopy of a row of `users`. */
export const USER_COPY = sql<string>`json_object('kind', 'user', 'id', ${users.id},
  'status', ${users.status}, 'timeZone', ${users.timeZone}, 'version', ${users.version},
  'limits', json(${users.limits}))`;

/** JSON of the WalletCopy of a row of `wallets`. */
export const WALLET_COPY = sql<string>`json_object('kind', 'wallet', 'id', ${wallets.id},
  'userId', ${wallets.userId}, 'status', ${wallets.status}, 'version', ${wallets.version},
  'limits', json(${wallets.limits}))`;

/** The copy in `text`; throws where it is none. */
export function readCopy(text: string): Copy {
  return copy.parse(JSON.parse(text));
}

const userId = z.custom<UserId>((value) => typeof value === 'string' && isId('user', value));
const walletId = z.custom<WalletId>((value) => typeof value === 'string' && isId('wallet', value));
const keyId = z.custom<KeyId>((value) => typeof value === 'string' && isId('key', value));
/** zod's `int` is a safe integer. */
const version = z.int();
const status = z.enum(['active', 'suspended', 'deleted']);

/** Those that cannot be read are never taken for none; older pushes have none. */
const limitsOf = (holder: LimitScope) =>
  z.exactOptional(z.custom<LimitSet>((value) => checkLimitSet(value, holder).ok));

const copy = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('user'),
    id: userId,
    status,
    timeZone: z.string(),
    version,
    limits: limitsOf('user'),
  }),
  z.object({
    kind: z.literal('wallet'),
    id: walletId,
    userId,
    status,
    version,
    limits: limitsOf('wallet'),
  }),
  z.object({
    kind: z.literal('key'),
    id: keyId,
    walletId,
    userId,
    name: z.string(),
    hash: z.string(),
    previous: z.nullable(z.object({ hash: z.string(), until: z.int() })),
    status: z.enum(['active', 'disabled', 'deleted']),
    expiresAt: z.nullable(z.int()),
    version,
    limits: limitsOf('key'),
    whenClientLeaves: z.exactOptional(z.enum(['cancel', 'drain'])),
  }),
]);
