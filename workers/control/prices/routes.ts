// Prices and names of models as admins manage them. A price is never changed: a later one follows
// it, so that what was charged can be recomputed.

import { preview } from './preview';
import { catalogueOf, rowNumbers, shownCeiling, shownPrice, shownPrices } from './shown';
import { commit } from '../commit';
import { prices } from '../contract/prices';
import { refused } from '../refusals';
import type { Acting, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { PriceRow } from '../../domain/pricing/catalogue';
import { ownValue, resolveModel } from '../../domain/pricing/find';
import { LIST_ALIASES } from '../../domain/pricing/list-prices';
import { fail, ok } from '../../domain/result';
import {
  addPrice,
  aliasFits,
  aliasIsOwn,
  priceFits,
  priceIsAhead,
  putAlias,
  readPrices,
  removeAlias,
  removePrice,
} from '../../store/prices';
import { putSetting } from '../../store/settings';
import { raiseSnapshotVersion } from '../../store/snapshot';
import { forgetUnknownModels, listUnknownModels } from '../../store/unknown-models';

/** Every wallet's object keeps a copy of all rows and names in one value of its storage. */
const OWN_PRICES_MAX = 500;
const ALIASES_MAX = 500;
const ALIAS_FORM = /^[\x21-\x7e]{1,200}$/;

export const PRICE_ROUTES: readonly Route[] = [
  on(prices.list, list),
  on(prices.create, create),
  on(prices.aliases, async ({ env }) => ok({ body: { items: await aliasesOf(env) } })),
  on(prices.setAlias, setAlias),
  on(prices.deleteAlias, deleteAlias),
  on(prices.setCeiling, setCeiling),
  on(prices.deleteCeiling, deleteCeiling),
  on(prices.preview, preview),
  on(prices.unknown, unknown),
  on(prices.forgetUnknown, forgetUnknown),
  on(prices.delete, remove),
];

async function list({
  env,
  query,
  now,
}: Visit<typeof prices.list>): Promise<Outcome<typeof prices.list>> {
  const { model, state = 'in-force' } = query;
  const managed = await readPrices(env.DB);
  const items = shownPrices(managed, now).filter(
    (price) =>
      (model === undefined || price.model === model) && (state === 'all' || price.state === state),
  );
  const { ceiling } = managed;
  return ok({ body: { items, ceiling: ceiling === null ? null : shownCeiling(ceiling) } });
}

async function create(visit: Visit<typeof prices.create>): Promise<Outcome<typeof prices.create>> {
  const { env, body, now } = visit;
  const { model, family, displayName = model, effectiveFrom = now } = body;
  const managed = await readPrices(env.DB);
  const isFirst = managed.prices.every(({ row }) => row.model !== model);
  if (effectiveFrom < now && !isFirst) {
    return refused('not-valid', { fields: { effectiveFrom: 'lies in the past' } });
  }
  const id = `${model}@${new Date(effectiveFrom).toISOString()}`;
  const row: PriceRow = { id, model, family, effectiveFrom, displayName, ...rowNumbers(body) };
  const price = shownPrice(row, 'admin', effectiveFrom > now ? 'future' : 'in-force');
  return commit(visit, {
    audit: { targetId: id, after: price },
    only: (db) => priceFits(db, id, OWN_PRICES_MAX),
    otherwise: {
      kind: 'conflict',
      what: `This model has a price from this instant on, or there are ${OWN_PRICES_MAX} own prices.`,
    },
    parts: (db, when) => [addPrice(db, row, { now, when }), ...raiseSnapshotVersion(db, now, when)],
    push: { pool: true },
    reply: { body: { price } },
  });
}

async function remove(visit: Acting<typeof prices.delete>): Promise<Outcome<typeof prices.delete>> {
  const { env, parameters, now } = visit;
  const { id = '' } = parameters;
  const { prices: rows } = await readPrices(env.DB);
  const found = rows.find(({ row }) => row.id === id);
  if (found === undefined) return fail({ kind: 'not-found', what: 'price' });
  return commit(visit, {
    audit: { targetId: id, before: found.row },
    only: priceIsAhead(id, now),
    otherwise: { kind: 'conflict', what: 'Only an own price that is not in force yet can go.' },
    parts: (db, when) => [removePrice(db, id, when), ...raiseSnapshotVersion(db, now, when)],
    push: { pool: true },
    reply: { body: undefined },
  });
}

async function aliasesOf(env: Env) {
  return [...(await readPrices(env.DB)).aliases];
}

async function setAlias(
  visit: Visit<typeof prices.setAlias>,
): Promise<Outcome<typeof prices.setAlias>> {
  const { env, parameters, body, now } = visit;
  const { alias = '' } = parameters;
  const { model } = body;
  const managed = await readPrices(env.DB);
  const isModel = (name: string) => managed.prices.some(({ row }) => row.model === name);
  if (!ALIAS_FORM.test(alias)) {
    return refused('not-valid', { fields: { alias: 'must be visible ASCII characters' } });
  }
  if (isModel(alias)) return refused('not-valid', { fields: { alias: 'is a model of its own' } });
  if (!isModel(model)) return refused('not-valid', { fields: { model: 'has no price' } });
  const before = managed.aliases.find((row) => row.alias === alias);
  const after = { alias, model, source: 'admin' } as const;
  return commit(visit, {
    audit: { targetId: alias, before, after },
    only: (db) => aliasFits(db, alias, ALIASES_MAX),
    otherwise: { kind: 'conflict', what: `There are ${ALIASES_MAX} other names already.` },
    parts: (db, when) => [putAlias(db, after, when), ...raiseSnapshotVersion(db, now, when)],
    push: { pool: true },
    reply: { body: after },
  });
}

async function deleteAlias(
  visit: Acting<typeof prices.deleteAlias>,
): Promise<Outcome<typeof prices.deleteAlias>> {
  const { env, parameters, now } = visit;
  const { alias = '' } = parameters;
  const before = (await aliasesOf(env)).find((row) => row.alias === alias);
  if (before === undefined) return fail({ kind: 'not-found', what: 'alias' });
  const listed = ownValue(LIST_ALIASES, alias);
  const after = listed === null ? null : ({ alias, model: listed, source: 'list' } as const);
  return commit(visit, {
    audit: { targetId: alias, before, after },
    only: aliasIsOwn(alias),
    otherwise: {
      kind: 'conflict',
      what: 'This name came with the release. Give it another model.',
    },
    parts: (db, when) => [
      after === null ? removeAlias(db, alias, when) : putAlias(db, after, when),
      ...raiseSnapshotVersion(db, now, when),
    ],
    push: { pool: true },
    reply: { body: undefined },
  });
}

async function setCeiling(
  visit: Visit<typeof prices.setCeiling>,
): Promise<Outcome<typeof prices.setCeiling>> {
  const { env, body, now } = visit;
  const { ceiling: before } = await readPrices(env.DB);
  const row: PriceRow = {
    id: `ceiling:${new Date(now).toISOString()}`,
    model: 'ceiling',
    family: 'ceiling',
    effectiveFrom: now,
    displayName: 'ceiling',
    ...rowNumbers(body),
  };
  return keepCeiling(visit, { before, row, reply: { body: shownCeiling(row) } });
}

async function deleteCeiling(
  visit: Acting<typeof prices.deleteCeiling>,
): Promise<Outcome<typeof prices.deleteCeiling>> {
  const { ceiling: before } = await readPrices(visit.env.DB);
  return keepCeiling(visit, { before, row: null, reply: { body: undefined } });
}

async function keepCeiling<E extends typeof prices.setCeiling | typeof prices.deleteCeiling>(
  visit: Acting<E>,
  change: {
    readonly before: PriceRow | null;
    readonly row: PriceRow | null;
    readonly reply: Parameters<typeof commit<E>>[1]['reply'];
  },
): Promise<Outcome<E>> {
  const { before, row, reply } = change;
  const { now } = visit;
  const setting = { name: 'price_ceiling', value: JSON.stringify(row) } as const;
  return commit<E>(visit, {
    audit: { targetId: 'ceiling', before, after: row },
    parts: (db, when) => [
      putSetting(db, setting, { now, when }),
      ...raiseSnapshotVersion(db, now, when),
    ],
    push: { pool: true },
    reply,
  });
}

async function unknown({
  env,
}: Visit<typeof prices.unknown>): Promise<Outcome<typeof prices.unknown>> {
  const [models, managed] = await Promise.all([listUnknownModels(env.DB), readPrices(env.DB)]);
  const catalogue = catalogueOf(managed);
  const items = models.map((seen) => ({
    ...seen,
    isPriced: resolveModel(catalogue, seen.model) !== null,
  }));
  return ok({ body: { items } });
}

async function forgetUnknown(
  visit: Acting<typeof prices.forgetUnknown>,
): Promise<Outcome<typeof prices.forgetUnknown>> {
  return commit(visit, {
    audit: { targetId: 'unknown-models' },
    parts: (db, when) => [forgetUnknownModels(db, when)],
    reply: { body: undefined },
  });
}
