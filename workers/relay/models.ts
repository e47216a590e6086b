// `GET /v1/models[/{id}]`: what the upstream lists, of that what this relay can serve and the key
// may use, each entry as it came. An upstream that lists nothing leaves the catalogue to answer.

import type { RelayError } from '../domain/errors';
import type { ModelRules } from '../domain/limits/scope';
import { isModelAllowed } from '../domain/limits/scope';
import { findPrice, resolveModel } from '../domain/pricing/find';
import type { Catalogue, PriceRow } from '../domain/pricing/catalogue';
import { admit } from './admit';
import { errorAnswer, jsonAnswer } from './answer';
import { freeEnding } from './ending';
import { forward } from './forward';
import type { Bearer, Journey, Visit } from './journey';
import { atRest, keepAlive } from './progress';
import { conversationTag, schedule } from './schedule';
import { REACHED_NOTHING, settle } from './settle';
import { currentSnapshot } from './snapshot';

const LIST_BYTES_MAX = 4 * 1024 * 1024;

/** Answers with the list, or with the one model that the path names. */
export async function listModels(visit: Visit, bearer: Bearer): Promise<Response> {
  const wanted = visit.operation === 'model' ? nameOf(visit.url.pathname) : null;
  const conversation = await conversationTag(visit, bearer, null);
  const request = { class: 'free', body: null, model: wanted, conversation } as const;
  const [lease, snapshot] = await Promise.all([
    admit(visit, bearer, request),
    currentSnapshot(visit),
  ]);
  if (!lease.ok) return errorAnswer(visit, lease.error);
  const admitMs = Date.now() - visit.receivedAt;
  const admitted = { ...visit, bearer, lease: lease.value, admitMs };
  if (!snapshot.ok) {
    visit.ctx.waitUntil(settle(admitted, freeEnding('void'), REACHED_NOTHING));
    return errorAnswer(visit, snapshot.error);
  }
  const way = { ...admitted, snapshot: snapshot.value, body: null };
  const listed = await askUpstream(way, conversation);
  visit.ctx.waitUntil(settle(way, freeEnding('completed'), REACHED_NOTHING));
  if (wanted !== null) return oneModel(way, wanted, listed);
  return jsonAnswer(visit, listed === null ? ownList(way) : filtered(listed, way));
}

function nameOf(pathname: string): string {
  const last = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** The upstream's own answer, if it has one that can be read. */
async function askUpstream(journey: Journey, conversation: string): Promise<unknown> {
  const running = atRest();
  const rest = keepAlive(journey, running);
  const ranked = schedule(journey, conversation);
  const forwarded = await forward(journey, ranked, running).finally(rest);
  if (!forwarded.ok) return null;
  const { response, cancel } = forwarded.value;
  const length = Number(response.headers.get('content-length') ?? 0);
  if (response.status !== 200 || length > LIST_BYTES_MAX) {
    cancel();
    return null;
  }
  return response.json().catch(() => null);
}

interface Entry {
  readonly id: string;
}

function isEntry(value: unknown): value is Entry {
  return (
    typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string'
  );
}

/** The upstream's page without what has no price here or is not for this key: both are refused. */
function filtered(listed: unknown, journey: Journey): unknown {
  if (typeof listed !== 'object' || listed === null || !('data' in listed)) {
    return ownList(journey);
  }
  const { data } = listed;
  if (!Array.isArray(data)) return ownList(journey);
  const { catalogue } = journey.snapshot;
  const usable = new Set(usableModels(catalogue, journey.lease.models).map(({ model }) => model));
  const known = data.filter((entry) => {
    const model = isEntry(entry) ? resolveModel(catalogue, entry.id) : null;
    return model !== null && usable.has(model);
  });
  return { ...listed, data: known };
}

function oneModel(journey: Journey, wanted: string, listed: unknown): Response {
  if (isEntry(listed)) return jsonAnswer(journey, listed);
  const { catalogue } = journey.snapshot;
  const model = resolveModel(catalogue, wanted);
  const price = model === null ? null : findPrice(catalogue, model, Date.now());
  const unknown: RelayError = { kind: 'unknown-model', model: wanted };
  return price === null ? errorAnswer(journey, unknown) : jsonAnswer(journey, ownEntry(price));
}

/** The models that have a price now and that the rules of a key allow, in the catalogue's order. */
export function usableModels(catalogue: Catalogue, rules: ModelRules = {}): readonly PriceRow[] {
  const now = Date.now();
  const models = new Set(catalogue.rows.map((row) => row.model));
  return [...models]
    .filter((model) => isModelAllowed(rules, model))
    .map((model) => findPrice(catalogue, model, now))
    .filter((price) => price !== null);
}

function ownList({ snapshot, lease }: Journey): unknown {
  const data = usableModels(snapshot.catalogue, lease.models).map(ownEntry);
  const ids = data.map((entry) => entry.id);
  return { data, has_more: false, first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null };
}

/** The Models API's form; the epoch stands for a date that is not known, as the API says it may. */
function ownEntry(price: PriceRow): Entry & Record<string, unknown> {
  return {
    type: 'model',
    id: price.model,
    display_name: price.displayName,
    created_at: '1970-01-01T00:00:00Z',
  };
}
