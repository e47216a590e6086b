// People as admins manage them. Whoever loses a role, a password or the door loses the logins too;
// the last active admin stays one.

import { commit } from '../commit';
import type { Endpoint, Role } from '../contract/endpoint';
import type { User } from '../contract/users';
import { users } from '../contract/users';
import { hashed } from '../passwords';
import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Acting, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { RelayError } from '../../domain/errors';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import type { LimitSet } from '../../domain/limits/limit-set';
import { regionOfContinent } from '../../domain/region';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { causeOf } from '../../observe/log';
import { randomBytes } from '../../platform/random';
import type { Database } from '../../store/db';
import { bothHold } from '../../store/db';
import { pushWallet } from '../../store/outbox';
import type { ManagedUser, UserChange } from '../../store/user-changes';
import {
  anotherAdmin,
  changeUser,
  deleteKeysOf,
  endLogins,
  findUser,
  limitWallet,
  listUsers,
  userIsStill,
} from '../../store/user-changes';
import { putUser } from '../../store/users';
import { addWallet } from '../../store/wallets';

const PAGE_ITEMS = 50;
/** Of somebody without a password: no password is the one it was made of. */
const NO_PASSWORD = '-';

export const USER_ROUTES: readonly Route[] = [
  on(users.list, list),
  on(users.create, create),
  on(users.read, async (visit) => {
    const found = await userOf(visit);
    return found.ok ? ok({ body: shown(found.value) }) : found;
  }),
  on(users.change, change),
  on(users.suspend, async (visit) => move(visit, 'suspended')),
  on(users.activate, async (visit) => move(visit, 'active')),
  on(users.password, setPassword),
  on(users.logout, logout),
  on(users.delete, remove),
];

async function list(visit: Visit<typeof users.list>): Promise<Outcome<typeof users.list>> {
  const { search, role, status, cursor, limit = PAGE_ITEMS } = visit.query;
  if (cursor !== undefined && !isId('user', cursor)) {
    return refused('not-valid', { fields: { cursor: 'is not one of this list' } });
  }
  const rows = await listUsers(visit.env.DB, {
    ...(search === undefined ? {} : { search }),
    ...(role === undefined ? {} : { role }),
    ...(status === undefined ? {} : { status }),
    ...(cursor === undefined ? {} : { before: cursor }),
    limit: limit + 1,
  });
  const next = rows.length > limit ? (rows[limit - 1]?.id ?? null) : null;
  return ok({ body: { items: rows.slice(0, limit).map(shown), next } });
}

async function create(visit: Visit<typeof users.create>): Promise<Outcome<typeof users.create>> {
  const { email, name, role = 'user', timeZone = 'UTC', password, limits = {} } = visit.body;
  const refusal = checkRole(visit, role);
  if (refusal !== null) return refusal;
  const { now } = visit;
  const continent = visit.request.cf?.continent;
  const region = regionOfContinent(typeof continent === 'string' ? continent : undefined);
  const id = newId('user', now, randomBytes(ID_RANDOM_BYTES));
  const walletId = newId('wallet', now, randomBytes(ID_RANDOM_BYTES));
  const hash = password === undefined ? ok(NO_PASSWORD) : await hashed(visit, password);
  if (!hash.ok) return hash;
  const known = { id, email, name, role, timeZone };
  const user = shown({
    ...known,
    status: 'active',
    createdAt: now,
    limits,
    wallet: { id: walletId, region, status: 'active', limits: {}, balanceNanos: null },
  });
  return unlessTaken(() =>
    commit(visit, {
      audit: { targetId: id, after: user },
      parts: (db, when) => [
        putUser(db, { ...known, password: hash.value }, { now, when }),
        addWallet(db, { id: walletId, userId: id, region }, { now, when }),
        ...changeUser(db, id, { change: { limits }, now, when }),
        pushWallet(db, walletId, { now, when }),
      ],
      push: { wallets: [walletId] },
      reply: { body: { user } },
    }),
  );
}

async function change(visit: Visit<typeof users.change>): Promise<Outcome<typeof users.change>> {
  const found = await changeable(visit);
  if (!found.ok) return found;
  const before = found.value;
  const { walletLimits, ...rest } = visit.body;
  const refusal = checkRole(visit, rest.role ?? before.role);
  if (refusal !== null) return refusal;
  if (walletLimits?.budgets !== undefined) {
    const why = 'budgets of a wallet are its user’s own to set and to lift; set them in `limits`';
    return refused('not-valid', { fields: { 'walletLimits.budgets': why } });
  }
  const set = given(rest);
  const wallet = { ...before.wallet, limits: walletLimitsOf(before, walletLimits) };
  const after = shown({ ...before, ...set, wallet });
  const losesAdmin = before.role === 'admin' && after.role !== 'admin';
  const { now } = visit;
  return unlessTaken(() =>
    commit(visit, {
      audit: { targetId: before.id, before: shown(before), after },
      ...(losesAdmin ? notTheLast(before) : asRead(before)),
      parts: (db, when) => [
        ...changeUser(db, before.id, { change: set, now, when }),
        ...(walletLimits === undefined
          ? []
          : limitWallet(db, before.wallet.id, { limits: walletLimits, now, when })),
      ],
      push: { wallets: [before.wallet.id] },
      reply: { body: after },
    }),
  );
}

/** Those that an admin sets; the budgets among them are the user's (credits/own.ts) and stay. */
function walletLimitsOf({ wallet }: ManagedUser, limits: LimitSet | undefined): LimitSet {
  const { budgets } = wallet.limits;
  if (limits === undefined) return wallet.limits;
  return budgets === undefined ? limits : { ...limits, budgets };
}

async function move(
  visit: Acting<typeof users.suspend | typeof users.activate>,
  status: 'suspended' | 'active',
): Promise<Outcome<typeof users.suspend | typeof users.activate>> {
  const found = await changeable(visit);
  if (!found.ok) return found;
  const before = found.value;
  const after = shown({ ...before, status });
  const { now } = visit;
  return commit(visit, {
    audit: { targetId: before.id, before: shown(before), after },
    ...(status === 'suspended' ? notTheLast(before) : asRead(before)),
    parts: (db, when) => [
      ...changeUser(db, before.id, { change: { status }, now, when }),
      ...(status === 'suspended' ? [endLogins(db, before.id, { now, when, by: 'suspended' })] : []),
    ],
    push: { wallets: [before.wallet.id] },
    reply: { body: after },
  });
}

async function setPassword(
  visit: Visit<typeof users.password>,
): Promise<Outcome<typeof users.password>> {
  const found = await changeable(visit);
  if (!found.ok) return found;
  const before = found.value;
  const { id } = before;
  const hash = await hashed(visit, visit.body.password);
  if (!hash.ok) return hash;
  const password = hash.value;
  const { now } = visit;
  return commit(visit, {
    audit: { targetId: id },
    ...asRead(before),
    parts: (db, when) => [
      ...changeUser(db, id, { change: { password }, now, when }),
      endLogins(db, id, { now, when, by: 'password' }),
    ],
    push: { wallets: [before.wallet.id] },
    reply: { body: undefined },
  });
}

async function logout(visit: Acting<typeof users.logout>): Promise<Outcome<typeof users.logout>> {
  const found = await changeable(visit);
  if (!found.ok) return found;
  const { id } = found.value;
  return commit(visit, {
    audit: { targetId: id },
    parts: (db, when) => [endLogins(db, id, { now: visit.now, when, by: 'admin' })],
    reply: { body: undefined },
  });
}

async function remove(visit: Acting<typeof users.delete>): Promise<Outcome<typeof users.delete>> {
  const found = await changeable(visit);
  if (!found.ok) return found;
  const before = found.value;
  const { now } = visit;
  return commit(visit, {
    audit: { targetId: before.id, before: shown(before) },
    ...notTheLast(before),
    parts: (db, when) => [
      ...changeUser(db, before.id, { change: { status: 'deleted' }, now, when }),
      deleteKeysOf(db, before.id, { now, when }),
      endLogins(db, before.id, { now, when, by: 'deleted' }),
    ],
    push: { wallets: [before.wallet.id] },
    reply: { body: undefined },
  });
}

type Holding = Pick<ManagedUser, 'id' | 'role'>;

/** What was decided by somebody's role is done only while it is that, and never to the deleted. */
function asRead(before: Holding) {
  return {
    only: (db: Database) => userIsStill(db, before),
    otherwise: {
      kind: 'conflict',
      what: 'Somebody else changed this user meanwhile. Look again.',
    },
  } as const;
}

/** An admin may go only while there is another. */
function notTheLast(before: Holding) {
  if (before.role !== 'admin') return asRead(before);
  return {
    only: (db: Database) => bothHold(userIsStill(db, before), anotherAdmin(db, before.id)),
    otherwise: { code: 'last-admin' },
  } as const;
}

/**
 * Only an admin in person makes or changes those who see everything, admins and viewers: a token
 * with one scope would else make itself a login that opens all others.
 */
function checkRole({ actor }: Pick<Visit<typeof users.create>, 'actor'>, role: Role) {
  return actor.kind !== 'person' && role !== 'user' ? refused('beyond-own-rights') : null;
}

/** Somebody whom this actor may change. */
async function changeable(
  visit: Pick<Visit<typeof users.change>, 'actor' | 'env' | 'parameters' | 'url'>,
): Promise<Result<ManagedUser, RelayError | Refused>> {
  const found = await userOf(visit);
  return found.ok ? (checkRole(visit, found.value.role) ?? found) : found;
}

async function userOf(
  visit: Pick<Acting<Endpoint>, 'env' | 'parameters' | 'url'>,
): Promise<Result<ManagedUser, RelayError>> {
  const { id = '' } = visit.parameters;
  const user = isId('user', id) ? await findUser(visit.env.DB, id) : null;
  return user === null ? fail({ kind: 'not-found', what: visit.url.pathname }) : ok(user);
}

async function unlessTaken<T extends Endpoint>(
  change: () => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  try {
    return await change();
  } catch (error) {
    if (/UNIQUE constraint failed: users\.email/.test(causeOf(error))) {
      return refused('address-taken');
    }
    throw error;
  }
}

/** Without what is undefined: it stays as it is. */
function given(settings: Readonly<Record<string, unknown>>): UserChange {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function shown(user: ManagedUser): User {
  const { wallet } = user;
  return {
    ...user,
    limits: { ...user.limits },
    wallet: { ...wallet, limits: { ...wallet.limits } },
  };
}
