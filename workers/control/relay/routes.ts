// The addresses below /api/relay: what users see of the relay and of their own use of it.

import { listModels } from './models';
import { ownRequests } from './requests';
import { ownUsage } from './usage';
import { relay } from '../contract/relay';
import { ownPayer } from '../credits/own';
import { readOne, requestIn, stopOne } from '../requests/one';
import type { Route } from '../visit';
import { on } from '../visit';
import { ok } from '../../domain/result';
import { checkHealth } from '../../observe/health';

export const RELAY_ROUTES: readonly Route[] = [
  on(relay.health, async ({ env }) => {
    const health = await checkHealth(env);
    return ok(Response.json(health, { status: health.status === 'ok' ? 200 : 503 }));
  }),
  on(relay.models, listModels),
  on(relay.usage, ownUsage),
  on(relay.requests, ownRequests),
  on(relay.request, async (visit) => {
    const id = requestIn(visit);
    if (!id.ok) return id;
    const read = await readOne(visit, ownPayer(visit.actor), { id: id.value, as: 'user' });
    return read.ok ? ok({ body: read.value }) : read;
  }),
  on(relay.stop, async (visit) => {
    const id = requestIn(visit);
    return id.ok ? stopOne(visit, ownPayer(visit.actor), id.value) : id;
  }),
];
