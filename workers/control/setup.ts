// The setup door: makes the first admin, a user with credit and a key. Open only while there is no
// admin, or for the same setup until it is confirmed; store/setup.ts decides that in its batch.

import type { SetupAnswer, SetupRequest } from './contract/setup';
import { setup } from './contract/setup';
import { lineOf } from './commit';
import { pushNow } from './push';
import { refused } from './refusals';
import type { Outcome, Route, Visit } from './visit';
import { on } from './visit';
import type { RelayError } from '../domain/errors';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import type { CreditCall } from '../domain/ledger/calls';
import { nanosFromDollars } from '../domain/money';
import type { Region } from '../domain/region';
import { regionOfContinent } from '../domain/region';
import { fail, ok } from '../domain/result';
import { causeOf } from '../observe/log';
import { mintKey } from '../platform/digest';
import { hashPassword } from '../platform/password';
import { randomBytes } from '../platform/random';
import type { AuditLine } from '../store/audit';
import type { SetupClaim, SetupDoor, SetupPeople } from '../store/setup';
import { claimSetup, confirmSetup, readDoor } from '../store/setup';

/** What the first user starts with. */
const GRANT_DOLLARS = 10;
/** A second try follows only when the same setup ran at the same time and was faster. */
const TRIES_MAX = 3;

export const SETUP_ROUTES: readonly Route[] = [
  on(setup.open, makeFirstPeople),
  on(setup.confirm, shutDoor),
];

async function makeFirstPeople(
  visit: Visit<typeof setup.open>,
): Promise<Outcome<typeof setup.open>> {
  const { request, body } = visit;
  const continent = request.cf?.continent;
  const region = regionOfContinent(typeof continent === 'string' ? continent : undefined);
  try {
    const made = await setUp({ ...visit, region }, body);
    return made === null ? fail(CLOSED) : ok({ body: made });
  } catch (error) {
    // Someone registered with this address before there was an admin.
    if (/UNIQUE constraint failed: users\.email/.test(causeOf(error))) {
      return refused('address-taken');
    }
    throw error;
  }
}

async function shutDoor(
  visit: Visit<typeof setup.confirm>,
): Promise<Outcome<typeof setup.confirm>> {
  const { env, body, now } = visit;
  const { setupId } = body;
  const line = lineOf(visit, { targetId: 'setup', actorId: ACTOR, after: { confirmed: true } });
  const confirmed = await confirmSetup(env.DB, setupId, { now, line });
  return confirmed ? ok({ body: { confirmed } }) : fail(CLOSED);
}

const CLOSED: RelayError = {
  kind: 'conflict',
  what: 'This relay is set up already. The door is closed.',
};

/** Who is named as the one who did it: nobody is known yet. */
const ACTOR = 'setup';

interface SetupVisit extends Visit<typeof setup.open> {
  /** Where the caller is: both wallets' objects will live near. */
  readonly region: Region;
}

/**
 * Sets the relay up, or gives the same unconfirmed setup a new key; null: the door is closed.
 * Asked again, the old key is dead, the passwords are those sent last, nothing is granted twice.
 */
async function setUp(visit: SetupVisit, request: SetupRequest): Promise<SetupAnswer | null> {
  const people = await hashedPeople(visit, request);
  if (people === null) return null;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const ids = idsFor(await readDoor(visit.env.DB), request.setupId, visit);
    if (ids === null) return null;
    const order = { walletId: ids.userWalletId, keyId: ids.keyId, region: ids.region };
    const { key, hash, tagVersion } = await mintKey(order, visit.config.keyTagSecrets);
    const claimed = await claimSetup(visit.env.DB, {
      setupId: request.setupId,
      people: ids,
      ...people,
      key: { name: 'First key', hash, tagVersion },
      grant: grantOf(request.setupId),
      line: lineFor(visit, ids),
      now: visit.now,
    });
    if (claimed) {
      await pushNow(visit.env, { wallets: [ids.adminWalletId, ids.userWalletId] });
      const relay = visit.url.origin;
      return { key, adminId: ids.adminId, userId: ids.userId, relay };
    }
  }
  return null;
}

function lineFor(visit: SetupVisit, { adminId, userId, keyId }: SetupPeople): AuditLine {
  const { admin, user } = visit.body;
  const after = {
    admin: { id: adminId, email: admin.email },
    user: { id: userId, email: user.email, keyId, grantDollars: GRANT_DOLLARS },
  };
  return lineOf(visit, { targetId: 'setup', actorId: ACTOR, after });
}

/** null where the door is closed already: hashing is dear, and a closed door stays closed. */
async function hashedPeople(
  visit: SetupVisit,
  { setupId, admin, user }: SetupRequest,
): Promise<Pick<SetupClaim, 'admin' | 'user'> | null> {
  if (idsFor(await readDoor(visit.env.DB), setupId, visit) === null) return null;
  const adminHash = await hashPassword(admin.password);
  const userHash = await hashPassword(user.password);
  return {
    admin: { email: admin.email, name: 'Admin', password: adminHash },
    user: { email: user.email, name: 'User', password: userHash },
  };
}

/** The ids to try with: those that this setup has already, else fresh ones; null: closed. */
function idsFor(door: SetupDoor, setupId: string, visit: SetupVisit): SetupPeople | null {
  const { adminExists, state } = door;
  if (!adminExists) return freshIds(visit);
  return state !== null && state.setupId === setupId && !state.confirmed ? state.people : null;
}

function freshIds({ now, region }: SetupVisit): SetupPeople {
  return {
    adminId: newId('user', now, randomBytes(ID_RANDOM_BYTES)),
    adminWalletId: newId('wallet', now, randomBytes(ID_RANDOM_BYTES)),
    userId: newId('user', now, randomBytes(ID_RANDOM_BYTES)),
    userWalletId: newId('wallet', now, randomBytes(ID_RANDOM_BYTES)),
    keyId: newId('key', now, randomBytes(ID_RANDOM_BYTES)),
    region,
  };
}

/** The entry id comes from the setup's, so the ledger takes it once however often it arrives. */
function grantOf(setupId: string): CreditCall {
  return {
    entryId: `setup:${setupId}`,
    kind: 'grant',
    amountNanos: nanosFromDollars(GRANT_DOLLARS),
    reason: 'Credit to start with',
    actor: ACTOR,
  };
}
