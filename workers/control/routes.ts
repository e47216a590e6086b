// The control plane's addresses under /admin. For now the setup door is all there is; people, keys
// and accounts follow. JSON in, JSON out.

import type { Context } from 'hono';
import { Hono } from 'hono';
import type * as z from 'zod/mini';
import { answer, refuse, refuseWith } from './answer';
import type { ConfirmAnswer } from './contract/setup';
import { confirmRequest, setupRequest } from './contract/setup';
import { setUp } from './setup';
import type { RelayError } from '../domain/errors';
import { regionOfContinent } from '../domain/region';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { log } from '../observe/log';
import { sameText } from '../platform/digest';
import type { Config } from '../platform/env';
import { configOf } from '../platform/env';
import { confirmSetup } from '../store/setup';

/** No body of the control plane is larger. */
const BODY_CHARACTERS_MAX = 16_384;

type ControlContext = Context<{ Bindings: Env }>;

/** The routes of the control plane, to be mounted at `/admin`. */
export function controlRoutes(): Hono<{ Bindings: Env }> {
  const control = new Hono<{ Bindings: Env }>();
  control.post('/setup', makeFirstPeople);
  control.post('/setup/confirm', shutDoor);
  for (const path of ['/setup', '/setup/confirm']) {
    control.all(path, ({ req }) =>
      refuse({ kind: 'method-not-allowed', method: req.method, allow: 'POST' }),
    );
  }
  control.all('*', ({ req }) => refuse({ kind: 'not-found', what: req.path }));
  control.onError((error, { req }) => {
    log('control-failed', { path: req.path, error: causeOf(error) });
    return refuse({ kind: 'internal', cause: error });
  });
  return control;
}

async function makeFirstPeople(context: ControlContext): Promise<Response> {
  const door = await openDoor(context, setupRequest);
  if (door instanceof Response) return door;
  const continent = context.req.raw.cf?.continent;
  const visit = {
    env: context.env,
    config: door.config,
    region: regionOfContinent(typeof continent === 'string' ? continent : undefined),
    relay: new URL(context.req.url).origin,
    now: Date.now(),
  };
  try {
    const made = await setUp(visit, door.body);
    return made === null ? refuse(CLOSED) : answer(made);
  } catch (error) {
    // Someone registered with this address before there was an admin.
    if (/UNIQUE constraint failed: users\.email/.test(causeOf(error))) return refuse(ADDRESS_TAKEN);
    throw error;
  }
}

async function shutDoor(context: ControlContext): Promise<Response> {
  const door = await openDoor(context, confirmRequest);
  if (door instanceof Response) return door;
  const confirmed = await confirmSetup(context.env.DB, door.body.setupId, Date.now());
  return confirmed ? answer<ConfirmAnswer>({ confirmed }) : refuse(CLOSED);
}

/** The body of a caller who knows the setup secret, or the answer to all others. */
async function openDoor<T extends z.ZodMiniType>(
  { env, req }: ControlContext,
  schema: T,
): Promise<{ readonly config: Config; readonly body: z.infer<T> } | Response> {
  const config = configOf(env);
  if (!config.ok) return refuse(config.error);
  const { setupSecret } = config.value;
  if (setupSecret === null) return refuse({ kind: 'not-found', what: req.path });
  const given = /^bearer +(\S+)$/i.exec(req.header('authorization') ?? '')?.[1] ?? '';
  if (!(await sameText(given, setupSecret))) return refuseWith(WRONG_SECRET);
  const body = await readBody(req.raw, schema);
  return body.ok ? { config: config.value, body: body.value } : refuse(body.error);
}

async function readBody<T extends z.ZodMiniType>(
  request: Request,
  schema: T,
): Promise<Result<z.infer<T>, RelayError>> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  const text = declared > BODY_CHARACTERS_MAX ? null : await request.text();
  if (text === null || text.length > BODY_CHARACTERS_MAX) {
    return fail({ kind: 'too-large', limitBytes: BODY_CHARACTERS_MAX, decoded: false });
  }
  const read = schema.safeParse(parsed(text));
  if (read.success) return ok(read.data);
  const [issue] = read.error.issues;
  const where = issue?.path.join('.') || 'body';
  return fail({ kind: 'bad-request', message: `${where}: ${issue?.message ?? 'not valid'}` });
}

/** undefined for what is no JSON: no schema takes it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What D1 said. The words that drizzle wraps around it hold the parameters: not for a log. */
function causeOf(error: unknown): string {
  return String(error instanceof Error && error.cause !== undefined ? error.cause : error);
}

const CLOSED: RelayError = {
  kind: 'conflict',
  what: 'This relay is set up already. The door is closed.',
};
const ADDRESS_TAKEN: RelayError = {
  kind: 'conflict',
  what: 'Another user has one of these e-mail addresses.',
};
const WRONG_SECRET = {
  status: 401,
  code: 'setup-secret-wrong',
  message: 'Send the setup secret as "Authorization: Bearer <SETUP_SECRET>".',
  headers: { 'www-authenticate': 'Bearer realm="setup"' },
} as const;
