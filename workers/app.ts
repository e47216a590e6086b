// The map: every path prefix and the plane that answers it. No logic.

import { Hono } from 'hono';
import { controlRoutes } from './control/routes';
import { relay, relayGranted } from './relay/relay';

/** The whole Worker as one handler. */
export const app = new Hono<{ Bindings: Env }>()
  .route('/', controlRoutes(relayGranted))
  .all('*', (context) => relay(context.req.raw, context.env, context.executionCtx));
