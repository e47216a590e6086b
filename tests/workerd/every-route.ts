// Every route of the Worker as a test walks it: addresses filled in, calls of the whole app, the
// tables as they are. It decides nothing of what is right.

import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { ORIGIN } from './control-world';
import { app } from '../../workers/app';
import type { Endpoint } from '../../workers/control/contract/endpoint';
import { ROUTES } from '../../workers/control/routes';

export const ENDPOINTS: readonly Endpoint[] = ROUTES.map(({ endpoint }) => endpoint);

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly bindings?: Env;
}

/** One call of the whole Worker; waits for what it left behind. */
export async function callApp(method: string, path: string, sent: Sent = {}): Promise<Response> {
  const { headers = {}, body, bindings = env } = sent;
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  const request = new Request(`${ORIGIN}${path}`, {
    method,
    headers: {
      'cf-connecting-ip': '192.0.2.1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(text === undefined ? {} : { body: text }),
  });
  const context = createExecutionContext();
  const response = await app.request(request, undefined, bindings, context);
  // Read before waiting: what is done behind an answer waits for its end.
  const whole = response.body === null ? null : await response.text();
  await waitOnExecutionContext(context);
  return whole === null ? response : new Response(whole, response);
}

export function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}

/** The address with `value` for each of its parameters. */
export function filled(path: string, value: string): string {
  return path.replaceAll(/\{\w+\}/g, encodeURIComponent(value));
}

/** Code of a refusal of either plane; '' where nothing was refused. */
export async function refusalOf(response: Response): Promise<string> {
  if (response.status < 400) {
    await response.body?.cancel();
    return '';
  }
  const answer = await response.json<{ error: { code?: string; type?: string } }>();
  return answer.error.code ?? answer.error.type ?? '';
}

/** Everything that D1 holds, by table, as text that can be compared and searched. */
export async function tables(): Promise<Readonly<Record<string, string>>> {
  const { results } = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_cf_*'",
  ).all<{ name: string }>();
  const dumps = results.map(async ({ name }) => {
    const rows = await env.DB.prepare(`SELECT * FROM "${name}"`).all();
    return [name, JSON.stringify(rows.results)] as const;
  });
  return Object.fromEntries(await Promise.all(dumps));
}
