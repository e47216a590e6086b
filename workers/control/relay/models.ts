// Models and prices as they are now, from the snapshot that the relay itself works from.

import type { Model, relay } from '../contract/relay';
import type { Outcome, Visit } from '../visit';
import type { PriceRow } from '../../domain/pricing/catalogue';
import { findPrice } from '../../domain/pricing/find';
import { nanosFromPicosUp } from '../../domain/money';
import { fail, ok } from '../../domain/result';
import { SECOND_MS } from '../../domain/time';
import { causeOf, log } from '../../observe/log';
import { poolOf } from '../../platform/objects';
import type { Snapshot } from '../../domain/snapshot';
import type { Call } from '../visit';
import type { RelayError } from '../../domain/errors';
import type { Result } from '../../domain/result';

/** Pico-dollars a token are thousandths of a nano-dollar: a million of them, in nano-dollars. */
const NANOS_PER_MILLION = 1_000;

type Models = typeof relay.models;

export async function listModels(visit: Visit<Models>): Promise<Outcome<Models>> {
  const snapshot = await snapshotNow(visit);
  if (!snapshot.ok) return snapshot;
  const { catalogue } = snapshot.value;
  const names = [...new Set(catalogue.rows.map(({ model }) => model))].sort();
  const items = names.flatMap((name) => {
    const price = findPrice(catalogue, name, visit.now);
    if (price === null) return [];
    const later = catalogue.rows
      .filter((row) => row.model === name && row.effectiveFrom > visit.now)
      .map((row) => row.effectiveFrom);
    const aliases = Object.keys(catalogue.aliases).filter(
      (alias) => catalogue.aliases[alias] === name,
    );
    const changesAt = later.length === 0 ? null : Math.min(...later);
    return [{ ...modelOf(price), aliases: aliases.sort(), changesAt }];
  });
  return ok({ body: { items } });
}

/** The snapshot in force; `busy` where Pool does not answer. */
export async function snapshotNow({
  env,
  requestId,
}: Pick<Call, 'env' | 'requestId'>): Promise<Result<Snapshot, RelayError>> {
  try {
    const answer = await poolOf(env).snapshot(null);
    if (!answer.ok) return answer;
    // A caller that names no version is always given the whole.
    if (answer.value !== 'unchanged') return ok(answer.value);
  } catch (error) {
    log('pool-not-read', { request: requestId, error: causeOf(error) });
  }
  return fail({ kind: 'busy', what: 'pool', retryAfterMs: SECOND_MS });
}

function modelOf(price: PriceRow): Omit<Model, 'aliases' | 'changesAt'> {
  const { model, displayName, family, maxOutputTokens, bands, speed, geo, tier } = price;
  return {
    id: model,
    name: displayName,
    family,
    maxOutputTokens,
    prices: bands.map((band) => ({
      promptAbove: band.promptAbove,
      input: band.input * NANOS_PER_MILLION,
      cacheWrite5m: band.cacheWrite5m * NANOS_PER_MILLION,
      cacheWrite1h: band.cacheWrite1h * NANOS_PER_MILLION,
      cacheRead: band.cacheRead * NANOS_PER_MILLION,
      output: band.output * NANOS_PER_MILLION,
    })),
    webSearchNanos: nanosFromPicosUp(BigInt(price.webSearchPicos)),
    speed: factorsOf(speed),
    geo: factorsOf(geo),
    tier: factorsOf(tier),
  };
}

function factorsOf(table: PriceRow['speed']): Model['speed'] {
  return Object.fromEntries(
    Object.entries(table).map(([name, [over, under]]) => [name, [over, under] as const]),
  ) as Model['speed'];
}
