// What the stand-ins for the clouds share. Each is a plain function of a request, so that the same
// one serves a scripted `fetch` in workerd and, through serve-fake.ts, a port for journeys. It
// checks what the cloud would check, and refuses in the cloud's words what is not exactly right.

import type { AccountKind, SnapshotAccount } from '../../workers/domain/snapshot';

/** A call as it came. */
export interface SeenCall {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The body, if it is JSON of an object. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** What goes wrong with one call. */
export type Fault =
  /** The cloud's own refusal. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The answer's body ends after so many bytes, as if it were whole. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** One bit of an event stream's message is another. */
  | { readonly kind: 'flip'; readonly frame: number; readonly byte: number }
  /** An exception in place of the event of this number. */
  | {
      readonly kind: 'exception';
      readonly at: number;
      readonly name: string;
      readonly body: string;
    };

/** What the token host does with the next exchange. */
export type TokenFault =
  | { readonly kind: 'down' }
  | { readonly kind: 'status'; readonly status: number; readonly body?: string }
  | { readonly kind: 'slow'; readonly until: Promise<unknown> }
  | { readonly kind: 'lives'; readonly seconds: number };

/** How an account of this stand-in is entered. */
export interface FakeAccount {
  readonly kind: AccountKind;
  /** What is sealed. */
  readonly credential: string;
  readonly fields: Partial<
    Pick<SnapshotAccount, 'region' | 'project' | 'workspace' | 'modelNames' | 'models'>
  >;
}

/** A stand-in for one cloud. */
export interface FakeKind {
  readonly account: FakeAccount;
  /** Every call but exchanges of tokens, in order. */
  readonly seen: readonly SeenCall[];
  /** Exchanges of tokens; kinds without any have none. */
  readonly exchanges: readonly SeenCall[];
  /** The next calls fail so, one after the other. */
  fail(...faults: readonly Fault[]): void;
  failToken(...faults: readonly TokenFault[]): void;
  handle(request: Request): Promise<Response>;
}

/** What each cloud adds to that. */
export interface Room {
  readonly account: FakeAccount;
  readonly isTokenCall?: (call: SeenCall) => boolean;
  /** The token's answer; throws where the cloud would refuse. */
  readonly grant?: (call: SeenCall, lifeSeconds: number) => Promise<Response>;
  /** Throws `Wrong` for a call that the cloud would not take. */
  readonly check: (call: SeenCall) => Promise<void>;
  readonly denied: (wrong: Wrong) => Response;
  readonly answer: (call: SeenCall, fault: Fault | null) => Response;
}

/** Something about a call is not right. */
export class Wrong extends Error {
  override readonly name = 'Wrong';
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const SEEN_MAX = 1_000;
const LIFE_SECONDS = 3_600;

/** The stand-in that a room makes. */
export function fakeKind(room: Room): FakeKind {
  const seen: SeenCall[] = [];
  const exchanges: SeenCall[] = [];
  const faults: Fault[] = [];
  const tokenFaults: TokenFault[] = [];
  const handle = async (request: Request): Promise<Response> => {
    const call = await readCall(request);
    try {
      if (room.isTokenCall?.(call) === true) {
        note(exchanges, call);
        return await exchange(room, call, tokenFaults.shift() ?? null);
      }
      note(seen, call);
      const fault = faults.shift() ?? null;
      if (fault?.kind === 'answer') {
        const { status, body, headers } = fault;
        return new Response(body, { status, headers: headers ?? {} });
      }
      await room.check(call);
      return room.answer(call, fault);
    } catch (error) {
      if (error instanceof Wrong) return room.denied(error);
      throw error;
    }
  };
  const fail = (...more: readonly Fault[]) => void faults.push(...more);
  const failToken = (...more: readonly TokenFault[]) => void tokenFaults.push(...more);
  return { account: room.account, seen, exchanges, fail, failToken, handle };
}

async function exchange(room: Room, call: SeenCall, fault: TokenFault | null): Promise<Response> {
  if (fault?.kind === 'down') throw new TypeError('the connection was refused');
  if (fault?.kind === 'status') return new Response(fault.body ?? '{}', { status: fault.status });
  if (fault?.kind === 'slow') await fault.until;
  const seconds = fault?.kind === 'lives' ? fault.seconds : LIFE_SECONDS;
  const granted = await room.grant?.(call, seconds);
  return granted ?? new Response(null, { status: 404 });
}

function note(list: SeenCall[], call: SeenCall): void {
  if (list.length < SEEN_MAX) list.push(call);
}

async function readCall(request: Request): Promise<SeenCall> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  return {
    method: request.method,
    url: new URL(request.url),
    headers: request.headers,
    bytes,
    json: objectIn(new TextDecoder().decode(bytes)),
  };
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? { ...json } : {};
  } catch {
    return {};
  }
}

/** Holds a call to what it must have, and to what it must not. */
export function demand(isRight: boolean, message: string, status = 400): void {
  if (!isRight) throw new Wrong(status, message);
}

/** Names of a body's members, none twice. */
export function demandMembers(call: SeenCall, members: Readonly<Record<string, boolean>>): void {
  const text = new TextDecoder().decode(call.bytes);
  for (const [name, isThere] of Object.entries(members)) {
    demand(Object.hasOwn(call.json, name) === isThere, `${name}: Extra inputs are not permitted`);
    const count = text.split(`"${name}":`).length - 1;
    demand(count <= 1, `${name}: Field given more than once`);
  }
}

/** A whole answer. */
export const MESSAGE = {
  id: 'msg_01Cloud',
  type: 'message',
  role: 'assistant',
  model: 'claude-opus-4-6',
  content: [{ type: 'text', text: 'Grüße "an" alle' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 4 },
} as const;

/** The same as events. */
export const EVENTS = [
  {
    type: 'message_start',
    message: { ...MESSAGE, content: [], stop_reason: null, usage: { input_tokens: 10 } },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Grüße "an" ' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'alle' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 4 } },
  { type: 'message_stop' },
] as const;

/** Events as Anthropic sends them. */
export function sseOf(events: readonly { readonly type: string }[]): string {
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
}

/** The answer of a cloud that speaks Anthropic's protocol, as the call asks for it. */
export function nativeAnswer(call: SeenCall, fault: Fault | null): Response {
  if (call.url.pathname.includes('count')) return Response.json({ input_tokens: 21 });
  const isStream = call.json['stream'] === true;
  const text = isStream ? sseOf(EVENTS) : JSON.stringify(MESSAGE);
  const whole = new TextEncoder().encode(text);
  const type = isStream ? 'text/event-stream; charset=utf-8' : 'application/json';
  const bytes = fault?.kind === 'cut' ? whole.slice(0, fault.bytes) : whole;
  return new Response(bytes, {
    headers: { 'content-type': type, 'request-id': 'req_cloud', 'x-cloud-canary': 'kept-back' },
  });
}

/** Anthropic's envelope. */
export function anthropicError(status: number, type: string, message: string): Response {
  return Response.json({ type: 'error', error: { type, message } }, { status });
}
