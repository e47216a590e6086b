// The control plane's addresses: every endpoint with its handler, in one table. What is not in it
// does not exist. JSON in, JSON out.

import { Hono } from 'hono';
import { ACCOUNT_ROUTES } from './accounts/routes';
import { AUDIT_ROUTES } from './admin/audit';
import { INVITE_ROUTES } from './admin/invites';
import { LIVE_ROUTES } from './admin/live';
import { SERVICE_TOKEN_ROUTES } from './admin/service-tokens';
import { SETTING_ROUTES } from './admin/settings';
import { refusalAnswer } from './answer';
import { AUTH_ROUTES } from './auth/routes';
import { CODE_ROUTES } from './codes/routes';
import { CREDIT_ROUTES } from './credits/routes';
import { DOCS_ROUTES } from './docs/routes';
import { METRICS_ROUTES } from './metrics/routes';
import { PLAYGROUND_ROUTES } from './playground';
import { PRICE_ROUTES } from './prices/routes';
import { RELAY_ROUTES } from './relay/routes';
import { ADMIN_REQUEST_ROUTES } from './requests/admin';
import { serve } from './serve';
import { SETUP_ROUTES } from './setup';
import { TOKEN_ROUTES } from './tokens/routes';
import { ADMIN_USAGE_ROUTES } from './usage/admin';
import { USER_ROUTES } from './users/routes';
import type { DataPlane, Route } from './visit';
import type { RelayError } from '../domain/errors';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import { configOf } from '../platform/env';
import { randomBytes } from '../platform/random';

export const ROUTES: readonly Route[] = [
  ...SETUP_ROUTES,
  ...TOKEN_ROUTES,
  ...USER_ROUTES,
  ...CREDIT_ROUTES,
  ...CODE_ROUTES,
  ...AUTH_ROUTES,
  ...INVITE_ROUTES,
  ...SERVICE_TOKEN_ROUTES,
  ...ACCOUNT_ROUTES,
  ...PRICE_ROUTES,
  ...SETTING_ROUTES,
  ...AUDIT_ROUTES,
  ...METRICS_ROUTES,
  ...DOCS_ROUTES,
  ...RELAY_ROUTES,
  ...ADMIN_USAGE_ROUTES,
  ...ADMIN_REQUEST_ROUTES,
  ...LIVE_ROUTES,
  ...PLAYGROUND_ROUTES,
];

/** Everything below these is the control plane's, known or not. */
const PREFIXES = ['/admin', '/api/auth', '/api/tokens', '/api/credits', '/api/relay'] as const;

/**
 * The routes of the control plane, to be mounted at the root, before the data plane's, whose door
 * for people is `dataPlane`.
 */
export function controlRoutes(dataPlane?: DataPlane): Hono<{ Bindings: Env }> {
  const control = new Hono<{ Bindings: Env }>();
  const planes = dataPlane === undefined ? {} : { dataPlane };
  for (const route of ROUTES) {
    const { method, path } = route.endpoint;
    control.on(method, honoPath(path), ({ req, env, executionCtx }) =>
      serve(route, {
        request: req.raw,
        env,
        ctx: executionCtx,
        parameters: req.param(),
        ...planes,
      }),
    );
  }
  for (const path of new Set(ROUTES.map(({ endpoint }) => endpoint.path))) {
    const allow = ROUTES.flatMap(({ endpoint }) => (endpoint.path === path ? endpoint.method : []));
    control.all(honoPath(path), ({ req }) =>
      refuse({ kind: 'method-not-allowed', method: req.method, allow: allow.join(', ') }),
    );
  }
  for (const path of ['/admin', '/admin/*']) {
    control.get(path, async ({ req, env }, next) => dashboardFor(req.raw, env) ?? next());
  }
  for (const prefix of PREFIXES) {
    for (const path of [prefix, `${prefix}/*`]) {
      control.all(path, ({ req }) => refuse({ kind: 'not-found', what: req.path }));
    }
  }
  return control;
}

/** Somebody at a browser who has typed `/admin` means the dashboard; null: nobody knows it. */
function dashboardFor(request: Request, env: Env): Response | null {
  const isPage = request.headers.get('accept')?.includes('text/html') ?? false;
  const config = configOf(env);
  const [origin] = config.ok ? config.value.allowedOrigins : [];
  if (!isPage || origin === undefined) return null;
  const headers = { location: `${origin}/`, 'cache-control': 'no-store', vary: 'accept' };
  return new Response(null, { status: 302, headers });
}

/** `{id}` as hono writes it. */
function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function refuse(error: RelayError): Response {
  return refusalAnswer(error, newId('request', Date.now(), randomBytes(ID_RANDOM_BYTES)));
}
