// The door: what Cloudflare calls. No logic.

import { app } from './app';
import { scheduled } from './jobs';

export { EgressObject } from './objects/egress';
export { LedgerObject } from './objects/ledger';
export { LiveObject } from './objects/live';
export { PoolObject } from './objects/pool';
export { ThrottleObject } from './objects/throttle';

export default {
  fetch: app.fetch,
  scheduled: (controller, env) => scheduled(env, controller.scheduledTime),
} satisfies ExportedHandler<Env>;
