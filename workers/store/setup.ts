// The first people of an installation. Whether the door is open is decided inside the batch that
// makes them: the `setup` row is taken only while there is no admin, and everything else is made
// only while that row is exactly this one. Of two callers at once, one wins.

import { and, eq, exists, ne, sql } from 'drizzle-orm';
import * as z from 'zod/mini';
import type { KeyId, UserId, WalletId } from '../domain/ids';
import type { CreditCall } from '../domain/ledger/calls';
import type { Region } from '../domain/region';
import { isRegion } from '../domain/region';
import type { AuditLine } from './audit';
import { auditPart } from './audit';
import type { Condition, Database, Part } from './db';
import { primary, raised, runBatch } from './db';
import { putKey } from './keys';
import { pushCredit, pushKey, pushUser, pushWallet } from './outbox';
import { settings, users } from './schema';
import { putSetting, readSettings } from './settings';
import type { NewUser } from './users';
import { putUser } from './users';
import { addWallet } from './wallets';

/** The ids of the first people, kept so that the same setup asked again finds them. */
export interface SetupPeople {
  readonly adminId: UserId;
  readonly adminWalletId: WalletId;
  readonly userId: UserId;
  readonly userWalletId: WalletId;
  readonly keyId: KeyId;
  /** Of both wallets. */
  readonly region: Region;
}

export interface SetupState {
  readonly setupId: string;
  readonly people: SetupPeople;
  readonly confirmed: boolean;
}

export interface SetupDoor {
  /** Whether any admin exists, whatever the status: then nobody new may come in. */
  readonly adminExists: boolean;
  readonly state: SetupState | null;
}

type Person = Pick<NewUser, 'email' | 'name' | 'password'>;

/** One try at the door. */
export interface SetupClaim {
  readonly setupId: string;
  readonly people: SetupPeople;
  readonly admin: Person;
  readonly user: Person;
  readonly key: { readonly name: string; readonly hash: string; readonly tagVersion: string };
  readonly grant: CreditCall;
  /** Written if the claim is made, each time. */
  readonly line: AuditLine;
  /** Unix ms. */
  readonly now: number;
}

/** How the door stands. Only the batch of `claimSetup` decides; this spares work and finds ids. */
export async function readDoor(d1: D1Database): Promise<SetupDoor> {
  const db = primary(d1);
  const [admins, known] = await Promise.all([
    db.select({ id: users.id }).from(users).where(eq(users.role, 'admin')).limit(1),
    readSettings(db, ['setup']),
  ]);
  const value = known.get('setup')?.value;
  const state = value === undefined ? null : stateShape.parse(JSON.parse(value));
  return { adminExists: admins.length > 0, state };
}

/**
 * Makes (or, for the same unconfirmed setup with the same ids, renews) the people, their wallets,
 * the key and the grant, with their outbox rows. False: the door was closed or another was faster,
 * and nothing was changed. Throws as D1 does, and when another user has one of the addresses.
 */
export async function claimSetup(d1: D1Database, claim: SetupClaim): Promise<boolean> {
  const db = primary(d1);
  const value = openValue(claim);
  const held = settingHolds(db, value);
  await runBatch(db, [
    putSetting(db, { name: 'setup', value }, { now: claim.now, when: noAdmin(db) }),
    auditPart(db, claim.line, held),
    ...peopleParts(db, claim, held),
    ...pushParts(db, claim, held),
  ]);
  const known = await readSettings(db, ['setup']);
  return known.get('setup')?.value === value;
}

/**
 * Shuts the door for good and says so in the audit; again with the same id: the same. False: it is
 * another's.
 */
export async function confirmSetup(
  d1: D1Database,
  setupId: string,
  { now, line }: Pick<SetupClaim, 'now' | 'line'>,
): Promise<boolean> {
  const db = primary(d1);
  const mine = eq(sql`${settings.value} ->> '$.setupId'`, setupId);
  const row = and(eq(settings.name, 'setup'), mine);
  const open = and(row, ne(sql`${settings.value} ->> '$.confirmed'`, 1));
  await runBatch(db, [
    auditPart(db, line, sql`EXISTS (SELECT 1 FROM ${settings} WHERE ${open})`),
    db
      .update(settings)
      .set({
        value: sql`json_set(${settings.value}, '$.confirmed', json('true'))`,
        version: raised(settings.version, now),
      })
      .where(open),
  ]);
  const rows = await db.select({ name: settings.name }).from(settings).where(row);
  return rows.length > 0;
}

function openValue({ setupId, people }: SetupClaim): string {
  return JSON.stringify({ setupId, people, confirmed: false } satisfies SetupState);
}

function noAdmin(db: Database): Condition {
  return sql`NOT ${exists(
    db
      .select({ one: sql`1` })
      .from(users)
      .where(eq(users.role, 'admin')),
  )}`;
}

function settingHolds(db: Database, value: string): Condition {
  const row = and(eq(settings.name, 'setup'), eq(settings.value, value));
  return sql`${exists(
    db
      .select({ one: sql`1` })
      .from(settings)
      .where(row),
  )}`;
}

function peopleParts(db: Database, claim: SetupClaim, when: Condition): Part[] {
  const { people, admin, user, key, now } = claim;
  const { adminId, adminWalletId, userId, userWalletId, keyId, region } = people;
  const writing = { now, when };
  const timeZone = 'UTC';
  return [
    putUser(db, { ...admin, id: adminId, role: 'admin', timeZone }, writing),
    putUser(db, { ...user, id: userId, role: 'user', timeZone }, writing),
    addWallet(db, { id: adminWalletId, userId: adminId, region }, writing),
    addWallet(db, { id: userWalletId, userId, region }, writing),
    putKey(db, { ...key, id: keyId, walletId: userWalletId, userId }, writing),
  ];
}

function pushParts(db: Database, claim: SetupClaim, when: Condition): Part[] {
  const { people, grant, now } = claim;
  const writing = { now, when };
  return [
    pushUser(db, people.adminId, writing),
    pushWallet(db, people.adminWalletId, writing),
    pushUser(db, people.userId, writing),
    pushWallet(db, people.userWalletId, writing),
    pushKey(db, people.keyId, writing),
    pushCredit(db, { ...grant, walletId: people.userWalletId }, writing),
  ];
}

const text = z.string();
const stateShape = z.object({
  setupId: text,
  people: z.object({
    adminId: z.custom<UserId>(isText),
    adminWalletId: z.custom<WalletId>(isText),
    userId: z.custom<UserId>(isText),
    userWalletId: z.custom<WalletId>(isText),
    keyId: z.custom<KeyId>(isText),
    region: z.custom<Region>((value) => isText(value) && isRegion(value)),
  }),
  confirmed: z.boolean(),
});

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
