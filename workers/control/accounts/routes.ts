// Upstream accounts as admins manage them. Each change raises the snapshot's version in its own
// batch and tells Pool at once, so that the next refresh of every isolate knows.

import { baseUrlOf } from './address';
import { modelFor, tryAccount } from './trial';
import { commit } from '../commit';
import type { Account } from '../contract/accounts';
import { accounts } from '../contract/accounts';
import type { Endpoint } from '../contract/endpoint';
import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Acting, Call, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { RelayError } from '../../domain/errors';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import { findPrice } from '../../domain/pricing/find';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { randomBytes } from '../../platform/random';
import { HIDDEN, seal } from '../../platform/seal';
import type { AccountChange, ManagedAccount } from '../../store/accounts';
import {
  accountIsAt,
  addAccount,
  changeAccount,
  fewerAccounts,
  findAccount,
  listAccounts,
  removeAccount,
} from '../../store/accounts';
import { loadSnapshot, raiseSnapshotVersion } from '../../store/snapshot';

/** Every isolate holds all of them, and every request ranks them. */
const ACCOUNTS_MAX = 500;
const CHANGED_MEANWHILE: RelayError = {
  kind: 'conflict',
  what: 'Somebody else has changed this account. Read it again.',
};

export const ACCOUNT_ROUTES: readonly Route[] = [
  on(accounts.list, async ({ env }) => {
    const items = await listAccounts(env.DB);
    return ok({ body: { items: items.map(shown) } });
  }),
  on(accounts.create, create),
  on(accounts.read, async (visit) => {
    const found = await accountOf(visit);
    return found.ok ? ok({ body: shown(found.value) }) : found;
  }),
  on(accounts.change, change),
  on(accounts.credential, replaceCredential),
  on(accounts.enable, async (visit) => move(visit, 'active')),
  on(accounts.drain, async (visit) => move(visit, 'draining')),
  on(accounts.disable, async (visit) => move(visit, 'disabled')),
  on(accounts.delete, remove),
  on(accounts.test, tryOut),
];

async function create(
  visit: Visit<typeof accounts.create>,
): Promise<Outcome<typeof accounts.create>> {
  const { config, now, body } = visit;
  const { name, kind, weight = 1, priority = 0, group = null, models = null } = body;
  const baseUrl = baseUrlOf(body.baseUrl, kind, visit);
  if (!baseUrl.ok) return baseUrl;
  const id = newId('account', now, randomBytes(ID_RANDOM_BYTES));
  const account: ManagedAccount = {
    id,
    name,
    kind,
    baseUrl: baseUrl.value,
    credential: await seal(body.credential, { masterKeys: config.masterKeys, accountId: id }),
    status: body.status ?? 'active',
    group,
    weight,
    priority,
    models,
    origin: 'admin',
    version: now,
    createdAt: now,
  };
  return commit(visit, {
    audit: { targetId: id, after: { ...shown(account), credential: HIDDEN } },
    only: (db) => fewerAccounts(db, ACCOUNTS_MAX),
    otherwise: { kind: 'conflict', what: `There are ${ACCOUNTS_MAX} accounts already.` },
    parts: (db, when) => [
      addAccount(db, account, { now, when }),
      ...raiseSnapshotVersion(db, now, when),
    ],
    push: { pool: true },
    reply: { body: { account: shown(account) } },
  });
}

async function change(
  visit: Visit<typeof accounts.change>,
): Promise<Outcome<typeof accounts.change>> {
  const found = await accountOf(visit);
  if (!found.ok) return found;
  const account = found.value;
  const { name, baseUrl, credential, weight, priority, group, models, status } = visit.body;
  const isTheirs = account.origin === 'environment';
  if (isTheirs && [name, baseUrl, credential].some((value) => value !== undefined)) {
    return refused('given-by-environment');
  }
  const address = baseUrl === undefined ? null : baseUrlOf(baseUrl, account.kind, visit);
  if (address !== null && !address.ok) return address;
  const isElsewhere =
    address !== null && new URL(address.value).origin !== new URL(account.baseUrl).origin;
  // Else whoever may change accounts has a credential sent to wherever it can be read.
  if (isElsewhere && credential === undefined) {
    return refused('not-valid', { fields: { credential: 'is needed: baseUrl is another host' } });
  }
  return changed(visit, account, {
    ...(credential === undefined ? {} : await sealed(visit, account, credential)),
    ...(name === undefined ? {} : { name }),
    ...(address === null ? {} : { baseUrl: address.value }),
    ...(weight === undefined ? {} : { weight }),
    ...(priority === undefined ? {} : { priority }),
    ...(group === undefined ? {} : { group }),
    ...(models === undefined ? {} : { models }),
    ...(status === undefined ? {} : { status }),
  });
}

async function replaceCredential(
  visit: Visit<typeof accounts.credential>,
): Promise<Outcome<typeof accounts.credential>> {
  const found = await accountOf(visit);
  if (!found.ok) return found;
  const account = found.value;
  if (account.origin === 'environment') return refused('given-by-environment');
  return changed(visit, account, await sealed(visit, account, visit.body.credential));
}

async function sealed(
  { config: { masterKeys } }: Pick<Call, 'config'>,
  { id: accountId }: Pick<ManagedAccount, 'id'>,
  credential: string,
): Promise<Pick<ManagedAccount, 'credential'>> {
  return { credential: await seal(credential, { masterKeys, accountId }) };
}

type Changing =
  | typeof accounts.change
  | typeof accounts.credential
  | typeof accounts.enable
  | typeof accounts.drain
  | typeof accounts.disable;

async function move(
  visit: Acting<Changing>,
  status: ManagedAccount['status'],
): Promise<Outcome<Changing>> {
  const found = await accountOf(visit);
  return found.ok ? changed(visit, found.value, { status }) : found;
}

async function changed(
  visit: Acting<Changing>,
  before: ManagedAccount,
  given: AccountChange,
): Promise<Outcome<Changing>> {
  const { now } = visit;
  const after = shown({ ...before, ...given });
  // That it was replaced is told; what it was and is, is not.
  const hidden = given.credential === undefined ? {} : { credential: HIDDEN };
  return commit(visit, {
    audit: {
      targetId: before.id,
      before: { ...shown(before), ...hidden },
      after: { ...after, ...hidden },
    },
    only: accountIsAt(before.id, before.version),
    otherwise: CHANGED_MEANWHILE,
    parts: (db, when) => [
      changeAccount(db, before.id, { change: given, now, when }),
      ...raiseSnapshotVersion(db, now, when),
    ],
    push: { pool: true },
    reply: { body: after },
  });
}

async function remove(
  visit: Acting<typeof accounts.delete>,
): Promise<Outcome<typeof accounts.delete>> {
  const found = await accountOf(visit);
  if (!found.ok) return found;
  const { id, origin, status, version } = found.value;
  if (origin === 'environment') return refused('given-by-environment');
  if (status === 'active') {
    return fail({ kind: 'conflict', what: 'Disable or drain this account first.' });
  }
  return commit(visit, {
    audit: { targetId: id, before: shown(found.value) },
    only: accountIsAt(id, version),
    otherwise: CHANGED_MEANWHILE,
    parts: (db, when) => [
      removeAccount(db, id, when),
      ...raiseSnapshotVersion(db, visit.now, when),
    ],
    push: { pool: true },
    reply: { body: undefined },
  });
}

async function tryOut(visit: Visit<typeof accounts.test>): Promise<Outcome<typeof accounts.test>> {
  const found = await accountOf(visit);
  if (!found.ok) return found;
  const model = visit.body.model ?? (await servedModel(visit, found.value));
  if (model === null) {
    return refused('not-valid', { fields: { model: 'is needed: no model has a price' } });
  }
  const trial = await tryAccount(found.value, model, visit);
  const { isGood, status, failure, latencyMs } = trial;
  return commit(visit, {
    audit: { targetId: found.value.id, after: { model, isGood, status, failure, latencyMs } },
    parts: () => [],
    reply: { body: trial },
  });
}

async function servedModel(
  { env, now }: Pick<Call, 'env' | 'now'>,
  account: ManagedAccount,
): Promise<string | null> {
  const { catalogue } = await loadSnapshot(env.DB);
  const models = [...new Set(catalogue.rows.map((row) => row.model))];
  const inForce = models.flatMap((model) => findPrice(catalogue, model, now) ?? []);
  return modelFor(account, inForce);
}

async function accountOf({
  env,
  parameters,
}: Pick<Acting<Endpoint>, 'env' | 'parameters'>): Promise<
  Result<ManagedAccount, RelayError | Refused>
> {
  const { id = '' } = parameters;
  const account = isId('account', id) ? await findAccount(env.DB, id) : null;
  return account === null ? fail({ kind: 'not-found', what: 'account' }) : ok(account);
}

function shown(account: ManagedAccount): Account {
  const { id, name, kind, baseUrl, status, group, weight, priority } = account;
  const { models, origin, credential, createdAt } = account;
  return {
    id,
    name,
    kind,
    baseUrl,
    status,
    group,
    weight,
    priority,
    models: models === null ? null : [...models],
    origin,
    credentialKeyVersion: credential.keyVersion,
    createdAt,
  };
}
