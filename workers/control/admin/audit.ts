// The audit as admins read it: pages, or a file.

import type { AuditEntry } from '../contract/audit';
import { audit } from '../contract/audit';
import type { Columns } from '../csv';
import { csvAnswer, csvOf } from '../csv';
import { pageAsked, pageMade } from '../page';
import type { Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import { ok } from '../../domain/result';
import { HOUR_MS } from '../../domain/time';
import { listAudit } from '../../store/audit';

/** Of one file; the header `x-next-cursor` says where the following one begins. */
const FILE_LINES = 5_000;
/** Nothing finds lines by action alone: then no more than this is looked through. */
const ACTION_ALONE_MS = 90 * 24 * HOUR_MS;

export const AUDIT_ROUTES: readonly Route[] = [on(audit.list, list)];

async function list(visit: Visit<typeof audit.list>): Promise<Outcome<typeof audit.list>> {
  const { query, env, now } = visit;
  const { actorId, targetId, action, to, cursor, format } = query;
  const isFile = format === 'csv';
  const asked = pageAsked('audit', { cursor, limit: query.limit ?? (isFile ? FILE_LINES : 50) });
  if (!asked.ok) return asked;
  const isAlone = action !== undefined && actorId === undefined && targetId === undefined;
  const earliest = isAlone ? Math.max(0, (to ?? now) - ACTION_ALONE_MS) : undefined;
  const from = query.from ?? earliest;
  const lines = await listAudit(env.DB, { actorId, targetId, action, from, to, ...asked.value });
  const page = pageMade(lines, asked.value);
  if (!isFile) return ok({ body: page });
  const file = csvAnswer('audit', csvOf(COLUMNS, page.items));
  if (page.next !== null) file.value.headers.set('x-next-cursor', page.next);
  return file;
}

const COLUMNS: Columns<AuditEntry> = {
  id: ({ id }) => id,
  at: ({ at }) => new Date(at).toISOString(),
  actor: ({ actorId }) => actorId,
  action: ({ action }) => action,
  target: ({ targetId }) => targetId,
  before: ({ before }) => jsonOf(before),
  after: ({ after }) => jsonOf(after),
  address: ({ address }) => address,
  session: ({ sessionId }) => sessionId,
  request: ({ requestId }) => requestId,
};

function jsonOf(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}
