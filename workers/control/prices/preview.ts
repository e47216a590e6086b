// What a sample would cost, by the very rules that charge requests.

import type { prices, Sample } from '../contract/prices';
import type { Outcome, Visit } from '../visit';
import { catalogueOf } from './shown';
import { costLines, textOfPicos } from '../../domain/pricing/cost-lines';
import { priceAsked } from '../../domain/pricing/find';
import { fail, ok } from '../../domain/result';
import type { Usage } from '../../domain/usage/tokens';
import { readPrices } from '../../store/prices';

/** Answers the endpoint of that name. */
export async function preview(
  visit: Visit<typeof prices.preview>,
): Promise<Outcome<typeof prices.preview>> {
  const { model, usage, at = visit.now } = visit.body;
  const catalogue = catalogueOf(await readPrices(visit.env.DB));
  const asked = priceAsked(catalogue, model, at);
  if (asked === null) return fail({ kind: 'unknown-model', model });
  const cost = costLines(usageOf(asked.model, usage), { asked, catalogue, at });
  return ok({
    body: {
      model: asked.model,
      priceId: asked.id,
      byCeiling: asked.isCeiling === true,
      lines: cost.lines.map(({ kind, count, unitPicos, promptAbove, factors, picos }) => ({
        kind,
        count,
        unitPicos,
        promptAbove,
        factors: factors.map(({ term, value, factor: [numerator, denominator] }) => ({
          term,
          value,
          factor: [numerator, denominator] as [number, number],
        })),
        picos: textOfPicos(picos),
      })),
      picos: textOfPicos(cost.picos),
      costNanos: cost.costNanos,
      flags: [...cost.flags],
    },
  });
}

function usageOf(model: string, sample: Sample): Usage {
  const { input = 0, cacheWrite5m = 0, cacheWrite1h = 0, cacheRead = 0 } = sample;
  const { output = 0, webSearches = 0, speed = null, geo = null, tier = null } = sample;
  const counts = { input, cacheWrite5m, cacheWrite1h, cacheRead, output, webSearches };
  return { entries: [{ model, counts, terms: { speed, geo, tier } }], flags: [] };
}
