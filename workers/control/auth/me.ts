// One's own data and logins, as whoever is logged in sees and changes them.

import type { auth } from '../contract/auth';
import { commit } from '../commit';
import { pageAsked, pageMade } from '../page';
import type { Outcome, Visit } from '../visit';
import { shownUser } from './session';
import { ok } from '../../domain/result';
import { listSessions } from '../../store/sessions';
import { changeUser } from '../../store/user-changes';

export async function showMe({ actor }: Visit<typeof auth.me>): Promise<Outcome<typeof auth.me>> {
  return ok({ body: { user: shownUser(actor), sessionId: actor.sessionId } });
}

export async function changeMe(
  visit: Visit<typeof auth.changeMe>,
): Promise<Outcome<typeof auth.changeMe>> {
  const { actor, body, now } = visit;
  const { name = actor.name, timeZone = actor.timeZone } = body;
  return commit(visit, {
    audit: {
      targetId: actor.id,
      before: { name: actor.name, timeZone: actor.timeZone },
      after: { name, timeZone },
    },
    parts: (db, when) => changeUser(db, actor.id, { change: { name, timeZone }, now, when }),
    push: { wallets: [actor.walletId] },
    reply: {
      body: { user: shownUser({ ...actor, name, timeZone }), sessionId: actor.sessionId },
    },
  });
}

export async function showSessions(
  visit: Visit<typeof auth.sessions>,
): Promise<Outcome<typeof auth.sessions>> {
  const { actor, env, now, query } = visit;
  const asked = pageAsked('session', query);
  if (!asked.ok) return asked;
  const rows = await listSessions(env.DB, actor.id, { ...asked.value, now });
  const items = rows.map(({ rotatedAt, ...row }) => ({
    ...row,
    current: row.id === actor.sessionId,
    lastUsedAt: rotatedAt,
  }));
  return ok({ body: pageMade(items, asked.value) });
}
