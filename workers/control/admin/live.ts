// The door to the Live object: who may watch has been checked, its socket is handed on. From then
// on the object checks for itself that the login goes on.

import { live } from '../contract/live';
import { refused } from '../refusals';
import type { Outcome, Route, Visit } from '../visit';
import { on } from '../visit';
import type { Viewer } from '../../domain/live';
import { ok } from '../../domain/result';
import { liveOf } from '../../platform/objects';

export const LIVE_ROUTES: readonly Route[] = [on(live.watch, watch)];

async function watch({
  request,
  env,
  actor,
}: Visit<typeof live.watch>): Promise<Outcome<typeof live.watch>> {
  if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') {
    return refused('not-valid', { message: 'This address takes WebSockets alone.' });
  }
  const viewer: Viewer =
    actor.kind === 'person'
      ? { kind: 'person', sessionId: actor.sessionId }
      : { kind: 'service', tokenId: actor.id };
  // Nothing of the caller's own request goes on but that it wants a socket.
  const headers = { upgrade: 'websocket', viewer: JSON.stringify(viewer) };
  const response = await liveOf(env).fetch('https://live/', { headers });
  return response.webSocket === null ? refused('viewers-full') : ok(response);
}
