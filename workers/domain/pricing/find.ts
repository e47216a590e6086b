// Which model a text means and which row prices it. Exact ids, listed aliases and the platforms'
// documented spellings only; never a prefix, so that `claude-opus-5` is never `claude-opus-5-5`.

import type { Catalogue, Factor, PriceBand, PriceRow } from './catalogue';

const MODEL_CHARACTERS_MAX = 200;
/** What may stand in a log and a bill as a model's name, though nobody has listed it. */
const NAME = /^[\x21-\x7e]+$/;

/**
 * Platform spellings around a model id: Bedrock's `us.anthropic.`, `-v1:0` and `-v1`, Google
 * Cloud's `@20250929`, the dated ids' `-20250929`, and Claude Code's `[1m]`.
 */
const PLATFORM_FORM =
  /^(?:(?:(?:us|us-gov|eu|jp|au|apac|global)\.)?anthropic\.)?(.*?)(?:-v1|-v[12]:0)?(?:\[1m\])?$/;
const DATED = /^(.+)[-@]20[0-9]{6}$/;

/** The catalogue's id for `raw` as a client or an answer wrote it; null: not known. */
export function resolveModel(catalogue: Catalogue, raw: string): string | null {
  for (const form of modelForms(raw)) {
    const model = knownModel(catalogue, form);
    if (model !== null) return model;
  }
  return null;
}

/** `raw` and what remains when platform spellings are taken off, the most exact first. */
export function modelForms(raw: string): readonly string[] {
  if (raw.length === 0 || raw.length > MODEL_CHARACTERS_MAX) return [];
  const bare = PLATFORM_FORM.exec(raw)?.[1] ?? raw;
  const undated = DATED.exec(bare)?.[1];
  return undated === undefined ? [raw, bare] : [raw, bare, undated];
}

/** The row of `model` (a catalogue id) in force at `at` (Unix ms); null: none. */
export function findPrice(catalogue: Catalogue, model: string, at: number): PriceRow | null {
  let found: PriceRow | null = null;
  for (const row of catalogue.rows) {
    if (row.model !== model || row.effectiveFrom > at) continue;
    if (found === null || row.effectiveFrom >= found.effectiveFrom) found = row;
  }
  return found;
}

/**
 * What prices a request for `raw` at `at` (Unix ms): the model's row, else the ceiling under the
 * name that was asked for; null: it is not known, and there is no ceiling.
 */
export function priceAsked(catalogue: Catalogue, raw: string, at: number): PriceRow | null {
  const model = resolveModel(catalogue, raw);
  const known = model === null ? null : findPrice(catalogue, model, at);
  if (known !== null) return known;
  const { ceiling = null } = catalogue;
  // The barest form, so that an answer that spells it with a date or a platform is the same model.
  const name = model ?? modelForms(raw).at(-1);
  if (ceiling === null || name === undefined || !NAME.test(name)) return null;
  return { ...ceiling, model: name, displayName: name, isCeiling: true };
}

/**
 * What nothing of `model`'s family costs more than at `at` (Unix ms): each of its numbers is the
 * highest among the family's rows in force. The family is the known model's, else the one that a
 * word of the id names, else all. For what turns up unknown in an answer; null: no rows at all.
 */
export function dearestOfFamily(catalogue: Catalogue, model: string, at: number): PriceRow | null {
  const inForce = [...new Set(catalogue.rows.map((row) => row.model))]
    .map((known) => findPrice(catalogue, known, at))
    .filter((row) => row !== null);
  const words = new Set(model.toLowerCase().split(/[^a-z0-9]+/));
  const family = findPrice(catalogue, model, at)?.family;
  const ofFamily = inForce.filter((row) =>
    family === undefined ? words.has(row.family) : row.family === family,
  );
  return dearestOf(ofFamily.length > 0 ? ofFamily : inForce);
}

/** One row whose every number is the highest among `rows`; null when there are none. */
export function dearestOf(rows: readonly PriceRow[]): PriceRow | null {
  const [first] = rows;
  if (first === undefined) return null;
  return {
    ...first,
    id: `dearest:${rows.map((row) => row.id).join(',')}`,
    bands: [highestBand(rows.flatMap((row) => row.bands))],
    speed: highestFactors(rows.map((row) => row.speed)),
    geo: highestFactors(rows.map((row) => row.geo)),
    tier: highestFactors(rows.map((row) => row.tier)),
    webSearchPicos: Math.max(...rows.map((row) => row.webSearchPicos)),
    maxOutputTokens: Math.max(...rows.map((row) => row.maxOutputTokens)),
  };
}

/** The exact value in a table by name; own properties only (`constructor` is no price). */
export function ownValue<T>(table: Readonly<Record<string, T>>, name: string): T | null {
  return Object.hasOwn(table, name) ? (table[name] ?? null) : null;
}

function knownModel(catalogue: Catalogue, form: string): string | null {
  const isRow = (model: string): boolean => catalogue.rows.some((row) => row.model === model);
  if (isRow(form)) return form;
  const target = ownValue(catalogue.aliases, form);
  return target !== null && isRow(target) ? target : null;
}

function highestBand(bands: readonly PriceBand[]): PriceBand {
  const highest = (pick: (band: PriceBand) => number): number => Math.max(...bands.map(pick));
  return {
    promptAbove: 0,
    input: highest((band) => band.input),
    cacheWrite5m: highest((band) => band.cacheWrite5m),
    cacheWrite1h: highest((band) => band.cacheWrite1h),
    cacheRead: highest((band) => band.cacheRead),
    output: highest((band) => band.output),
  };
}

function highestFactors(
  tables: readonly Readonly<Record<string, Factor>>[],
): Readonly<Record<string, Factor>> {
  const highest = new Map<string, Factor>();
  for (const [name, factor] of tables.flatMap((table) => Object.entries(table))) {
    const known = highest.get(name);
    // Compared crosswise: a quotient would be a float.
    if (known === undefined || factor[0] * known[1] > known[0] * factor[1]) {
      highest.set(name, factor);
    }
  }
  return Object.fromEntries(highest);
}
