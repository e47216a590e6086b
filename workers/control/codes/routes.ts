// Batches of codes as admins make, watch and revoke them. Redeeming is credits/own.ts.

import { commit } from '../commit';
import type { Batch } from '../contract/codes';
import { codes } from '../contract/codes';
import { csvAnswer, csvOf } from '../csv';
import { pageAsked, pageMade } from '../page';
import { refused } from '../refusals';
import type { Acting, Call, Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import { CODE_BYTES, codeText } from '../../domain/codes/format';
import type { RelayError } from '../../domain/errors';
import type { CodeId } from '../../domain/ids';
import { ID_RANDOM_BYTES, isId, newId } from '../../domain/ids';
import { nanos } from '../../domain/money';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { sha256 } from '../../platform/digest';
import { randomBytes } from '../../platform/random';
import type { CodeBatch, CodeDigest, RedemptionPlace } from '../../store/codes';
import {
  addBatch,
  codeIsIn,
  findBatch,
  listBatches,
  listCodes,
  listRedemptions,
  revokeBatch,
  revokeCode,
} from '../../store/codes';

const PAGE_ITEMS = 50;

export const CODE_ROUTES: readonly Route[] = [
  on(codes.list, list),
  on(codes.create, create),
  on(codes.read, read),
  on(codes.redemptions, redemptionsOf),
  on(codes.revoke, revoke),
  on(codes.revokeCode, revokeOne),
];

async function list(visit: Visit<typeof codes.list>): Promise<Outcome<typeof codes.list>> {
  const asked = pageAsked('codeBatch', visit.query);
  if (!asked.ok) return asked;
  const rows = await listBatches(visit.env.DB, asked.value);
  return ok({ body: pageMade(rows, asked.value) });
}

/** The codes themselves are in this answer alone: a repeated call gets none. */
async function create(visit: Visit<typeof codes.create>): Promise<Outcome<typeof codes.create>> {
  const { now, actor, query, body } = visit;
  if (body.expiresAt !== undefined && body.expiresAt <= now) {
    return refused('not-valid', { fields: { expiresAt: 'lies in the past' } });
  }
  const batch = newBatch(visit);
  const made = await newCodes(body.count, now);
  const digests = made.map(({ id, hash }) => ({ id, hash }));
  const shown = made.map(({ id, code }) => ({ id, code }));
  const outcome = await commit<typeof codes.create>(visit, {
    audit: { targetId: batch.id, after: batch },
    parts: (db, when) => addBatch(db, { ...batch, createdBy: actor.id }, { made: digests, when }),
    reply: { body: { batch, codes: shown } },
    again: { batch, codes: null },
  });
  // What was answered before comes as it was kept.
  if (!outcome.ok || outcome.value instanceof Response || query.format !== 'csv') return outcome;
  const columns = { code: ({ code }: (typeof shown)[number]) => code };
  const file = csvAnswer('codes', csvOf(columns, shown)).value;
  return ok(new Response(file.body, { status: 201, headers: file.headers }));
}

function newBatch({ now, actor, body }: Visit<typeof codes.create>): Batch & CodeBatch {
  const { name, count, usesPerCode = 1, usesPerUser = 1, expiresAt = null } = body;
  return {
    id: newId('codeBatch', now, randomBytes(ID_RANDOM_BYTES)),
    name,
    amountNanos: nanos(body.amountNanos),
    count,
    usesPerCode,
    usesPerUser,
    uses: 0,
    expiresAt,
    revokedAt: null,
    createdBy: actor.id,
    createdAt: now,
  };
}

async function newCodes(
  count: number,
  now: number,
): Promise<readonly (CodeDigest & { readonly code: string })[]> {
  const texts = Array.from({ length: count }, () => codeText(randomBytes(CODE_BYTES)));
  return Promise.all(
    texts.map(async (code) => {
      const id = newId('code', now, randomBytes(ID_RANDOM_BYTES));
      return { id, code, hash: await sha256(code) };
    }),
  );
}

async function read(visit: Visit<typeof codes.read>): Promise<Outcome<typeof codes.read>> {
  const batch = await batchOf(visit);
  if (!batch.ok) return batch;
  const asked = pageAsked('code', visit.query);
  if (!asked.ok) return asked;
  const { before: after, limit } = asked.value;
  const from = after === undefined ? { limit } : { after, limit };
  const rows = await listCodes(visit.env.DB, batch.value.id, from);
  return ok({ body: { batch: batch.value, codes: pageMade(rows, { limit }) } });
}

async function redemptionsOf(
  visit: Visit<typeof codes.redemptions>,
): Promise<Outcome<typeof codes.redemptions>> {
  const batch = await batchOf(visit);
  if (!batch.ok) return batch;
  const { cursor, limit = PAGE_ITEMS } = visit.query;
  const after = cursor === undefined ? null : placeOf(cursor);
  if (cursor !== undefined && after === null) {
    return refused('not-valid', { fields: { cursor: 'is not one of this list' } });
  }
  const from = { limit: limit + 1, ...(after === null ? {} : { after }) };
  const rows = await listRedemptions(visit.env.DB, batch.value.id, from);
  const items = rows.slice(0, limit);
  const last = rows.length > limit ? items.at(-1) : undefined;
  return ok({ body: { items, next: last === undefined ? null : `${last.codeId}.${last.use}` } });
}

/** `<code's id>.<use>`; null: it is none. */
function placeOf(cursor: string): RedemptionPlace | null {
  const [codeId = '', use = '', ...rest] = cursor.split('.');
  const isPlace = isId('code', codeId) && /^\d{1,7}$/.test(use) && rest.length === 0;
  return isPlace ? { codeId, use: Number(use) } : null;
}

async function revoke(visit: Acting<typeof codes.revoke>): Promise<Outcome<typeof codes.revoke>> {
  const batch = await batchOf(visit);
  if (!batch.ok) return batch;
  const { id, revokedAt } = batch.value;
  const { now } = visit;
  return commit(visit, {
    audit: { targetId: id, before: { revokedAt }, after: { revokedAt: revokedAt ?? now } },
    parts: (db, when) => [revokeBatch(db, id, { now, when })],
    reply: { body: undefined },
  });
}

async function revokeOne(
  visit: Acting<typeof codes.revokeCode>,
): Promise<Outcome<typeof codes.revokeCode>> {
  const batch = await batchOf(visit);
  if (!batch.ok) return batch;
  const codeId = visit.parameters['codeId'] ?? '';
  const unknown: RelayError = { kind: 'not-found', what: 'code' };
  if (!isId('code', codeId)) return fail(unknown);
  const { now } = visit;
  const id: CodeId = codeId;
  return commit(visit, {
    audit: { targetId: id, after: { batchId: batch.value.id, revokedAt: now } },
    only: codeIsIn(id, batch.value.id),
    otherwise: unknown,
    parts: (db, when) => [revokeCode(db, id, { now, when })],
    reply: { body: undefined },
  });
}

async function batchOf({
  env,
  parameters,
}: Pick<Visit<typeof codes.read>, 'parameters'> & Pick<Call, 'env'>): Promise<
  Result<CodeBatch, RelayError>
> {
  const id = parameters['id'] ?? '';
  const batch = isId('codeBatch', id) ? await findBatch(env.DB, id) : null;
  return batch === null ? fail({ kind: 'not-found', what: 'codes' }) : ok(batch);
}
