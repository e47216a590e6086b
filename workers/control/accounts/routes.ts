// Upstream accounts as admins manage them. Each change raises the snapshot's version in its own
// batch and tells Pool at once, so that the next refresh of every isolate knows.

import { daysAsked, reportDays } from './days';
import { changeOf, credentialOf } from './given';
import { reseal } from './reseal';
import { shown } from './shown';
import { readStandings, resetStanding, standingIn } from './state';
import { tryAccount } from './trial';
import { commit } from '../commit';
import { accountDays } from '../contract/account-days';
import type { AccountWithState } from '../contract/account-fields';
import { accounts } from '../contract/accounts';
import type { Endpoint } from '../contract/endpoint';
import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Acting, Call, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { RelayError } from '../../domain/errors';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import { isVendorHost } from '../../domain/outbound/official-hosts';
import { findPrice } from '../../domain/pricing/find';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { ACCOUNT_DEFAULTS } from '../../domain/snapshot';
import { SECOND_MS } from '../../domain/time';
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
import { modelFor } from '../../upstreams/trial';

/** Every isolate holds all of them, and every request ranks them. */
const ACCOUNTS_MAX = 500;
const CHANGED_MEANWHILE: RelayError = {
  kind: 'conflict',
  what: 'Somebody else has changed this account. Read it again.',
};

export const ACCOUNT_ROUTES: readonly Route[] = [
  on(accounts.list, async ({ env }) => {
    const [items, standings] = await Promise.all([listAccounts(env.DB), readStandings(env)]);
    const told = items.map((one) => ({ ...shown(one), ...standingIn(standings, one.id) }));
    return ok({ body: { items: told } });
  }),
  // Before what an id would stand for.
  on(accountDays.allDays, async (visit) => {
    const range = daysAsked(visit.query, visit.now);
    if (!range.ok) return range;
    return ok({ body: await reportDays(visit, range.value, visit.query.accountId ?? null) });
  }),
  on(accountDays.days, async (visit) => {
    const found = await accountOf(visit);
    if (!found.ok) return found;
    const range = daysAsked(visit.query, visit.now);
    return range.ok ? ok({ body: await reportDays(visit, range.value, found.value.id) }) : range;
  }),
  on(accounts.create, create),
  on(accounts.read, async (visit) => {
    const found = await accountOf(visit);
    return found.ok ? ok({ body: await withState(visit, found.value) }) : found;
  }),
  on(accounts.change, change),
  on(accounts.credential, replaceCredential),
  on(accounts.enable, async (visit) => move(visit, 'active')),
  on(accounts.drain, async (visit) => move(visit, 'draining')),
  on(accounts.disable, async (visit) => move(visit, 'disabled')),
  on(accounts.reset, reset),
  on(accounts.reseal, reseal),
  on(accounts.delete, remove),
  on(accounts.test, tryOut),
];

async function create(
  visit: Visit<typeof accounts.create>,
): Promise<Outcome<typeof accounts.create>> {
  const { config, now, body } = visit;
  const { name, kind, credential: secret, ...settings } = body;
  const id = newId('account', now, randomBytes(ID_RANDOM_BYTES));
  const own = { id, name, kind, baseUrl: '', allowsOtherHost: false, notes: '' };
  const made = { origin: 'admin', version: now, createdAt: now } as const;
  const bare = { ...ACCOUNT_DEFAULTS, ...own, ...made };
  const given = changeOf(settings, bare, visit);
  if (!given.ok) return given;
  const text = credentialOf(secret, kind);
  if (!text.ok) return text;
  const credential = await seal(text.value, { masterKeys: config.masterKeys, accountId: id });
  const account: ManagedAccount = { ...bare, ...given.value, credential };
  return commit(visit, {
    audit: { targetId: id, after: { ...shown(account), credential: HIDDEN } },
    only: (db) => fewerAccounts(db, ACCOUNTS_MAX),
    otherwise: { kind: 'conflict', what: `There are ${ACCOUNTS_MAX} accounts already.` },
    parts: (db, when) => [addAccount(db, account, when), ...raiseSnapshotVersion(db, now, when)],
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
  const { credential, ...rest } = visit.body;
  const { name, baseUrl, allowsOtherHost } = rest;
  const isTheirs = [name, baseUrl, allowsOtherHost, credential].some((one) => one !== undefined);
  if (account.origin === 'environment' && isTheirs) return refused('given-by-environment');
  const given = changeOf(rest, account, visit);
  if (!given.ok) return given;
  const { baseUrl: next = account.baseUrl } = given.value;
  // Else whoever may change accounts has a credential sent to wherever it can be read.
  const isAnother = new URL(next).origin !== new URL(account.baseUrl).origin;
  const isElsewhere = isAnother && !isVendorHost(account.kind, new URL(next).hostname);
  if (isElsewhere && credential === undefined) {
    return refused('not-valid', { fields: { credential: 'is needed: baseUrl is another host' } });
  }
  const box = credential === undefined ? ok({}) : await sealed(visit, account, credential);
  return box.ok ? changed(visit, account, { ...given.value, ...box.value }) : box;
}

async function replaceCredential(
  visit: Visit<typeof accounts.credential>,
): Promise<Outcome<typeof accounts.credential>> {
  const found = await accountOf(visit);
  if (!found.ok) return found;
  const account = found.value;
  if (account.origin === 'environment') return refused('given-by-environment');
  const box = await sealed(visit, account, visit.body.credential);
  return box.ok ? changed(visit, account, box.value) : box;
}

async function sealed(
  { config: { masterKeys } }: Pick<Call, 'config'>,
  { id: accountId, kind }: Pick<ManagedAccount, 'id' | 'kind'>,
  given: Parameters<typeof credentialOf>[0],
): Promise<Result<Pick<ManagedAccount, 'credential'>, Refused>> {
  const text = credentialOf(given, kind);
  if (!text.ok) return text;
  return ok({ credential: await seal(text.value, { masterKeys, accountId }) });
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

async function reset(
  visit: Acting<typeof accounts.reset>,
): Promise<Outcome<typeof accounts.reset>> {
  const found = await accountOf(visit);
  if (!found.ok) return found;
  const { id } = found.value;
  const before = standingIn(await readStandings(visit.env), id);
  const { state, reasons } = before;
  const done = await commit(visit, {
    audit: { targetId: id, before: { state, reasons } },
    parts: () => [],
    reply: { body: { ...shown(found.value), ...before } },
  });
  if (!done.ok) return done;
  const isReset = await resetStanding(visit.env, { accountId: id, actor: visit.actor.id });
  if (!isReset) return fail({ kind: 'busy', what: 'pool', retryAfterMs: SECOND_MS });
  return ok({ body: await withState(visit, found.value) });
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

async function withState(
  { env }: Pick<Call, 'env'>,
  account: ManagedAccount,
): Promise<AccountWithState> {
  return { ...shown(account), ...standingIn(await readStandings(env), account.id) };
}
