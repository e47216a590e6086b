// One call of one account, up to the point where its answer is known to be one: headers, and of a
// stream the first event. What it was worth is failure.ts's to say, what to do next forward.ts's.

import type { Candidate } from '../domain/scheduling/choose';
import type { Reply } from '../domain/scheduling/failure';
import { retryAfterMsOf } from '../domain/scheduling/failure';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { ownHostsOf } from '../platform/address';
import type { Via } from '../platform/egress';
import { ForbiddenAddress, upstreamFetch } from '../platform/outbound';
import { originalOf, refusedWith } from '../upstreams/refusals';
import { upstreamOf } from '../upstreams/registry';
import type { PrepareFailure, UpstreamCall, UpstreamOperation } from '../upstreams/upstream';
import type { Client } from './client';
import { onAbort } from './client';
import { credentialOf } from './credentials';
import { beginningOf, errorFactsOf, HOLD_MS } from './first-event';
import type { Answer, Journey } from './journey';
import type { StopWord } from './ending';
import type { Early } from './patience';
import type { Running } from './progress';
import { givenUpBy } from './progress';
import { readUpTo } from './read-up-to';
import { upstreamPath } from './routes';

/** How long a JSON request may be without headers: as long as the official SDKs wait. */
const WHOLE_MS_MAX = 10 * MINUTE_MS;
/** A stream, where the settings say nothing else of its model. */
const HEADERS_MS_MAX = 30 * SECOND_MS;
/** A large prompt is on its way meanwhile, and read: so much longer for each of these. */
const SLOW_BYTES = 1024 * 1024;
/** Refusals are small; one that is not, or that drips, is told in the relay's own words. */
const REFUSAL_BYTES_MAX = 1024 * 1024;
const REFUSAL_MS_MAX = 10 * SECOND_MS;

/** What became of the call: an answer to hand on, or a failure with what of it may be shown. */
export type Tried =
  | { readonly is: 'answer'; readonly reply: Reply; readonly answer: Piece }
  | {
      readonly is: 'failure';
      readonly reply: Reply;
      /** To be shown when all is lost; null: nothing that a client could read. */
      readonly refusal: Piece | null;
      /** As it came, where it is the client's own affair. */
      readonly asItCame: Piece | null;
    }
  | { readonly is: 'given-up'; readonly by: 'left' | StopWord };

/** An answer as far as it was read. */
export type Piece = Pick<Answer, 'response' | 'beginning' | 'rest' | 'cancel'>;

export interface Trial {
  readonly journey: Journey;
  readonly candidate: Candidate;
  readonly running: Running;
  readonly client: Client;
  /** Where pings may go before the answer. */
  readonly early: Early;
  /** Through which region the call leaves; null: from here. */
  readonly via: Via | null;
}

/** Calls the candidate's account. Never throws for what an upstream does. */
export async function tryAccount(trial: Trial): Promise<Tried> {
  const { journey, candidate, running, client } = trial;
  const { account } = candidate;
  const ending = new AbortController();
  const watch = watchOver(trial, ending);
  running.stop = () => ending.abort();
  const forget = onAbort(client.letGo, () => ending.abort());
  running.dispatched = true;
  running.accountId = account.id;
  try {
    const call = callOf(journey, ending.signal);
    const sent = await send(trial, call, ending.signal);
    if (!sent.ok) return failure(sent.error);
    const tried = await look(trial, sent.value, { ending, onBytes: watch.alive });
    // Whoever gave it up meanwhile wants no other account either.
    const who = givenUpBy(running, client);
    return who === null || tried.is === 'answer' ? tried : { is: 'given-up', by: who };
  } catch (error) {
    const who = givenUpBy(running, client);
    if (who !== null) return { is: 'given-up', by: who };
    if (error instanceof ForbiddenAddress) return failure('address');
    return failure(watch.isLate() ? 'timeout' : 'unreachable');
  } finally {
    watch.end();
    running.onTick = () => undefined;
    // From here on the stream decides what a leaving client means.
    forget();
  }
}

interface Watch {
  /** Something came: the wait begins anew. */
  readonly alive: () => void;
  readonly isLate: () => boolean;
  readonly end: () => void;
}

/** Ends a call that gives nothing: exactly for streams, by the next sign of life for others. */
function watchOver({ journey, running }: Trial, ending: AbortController): Watch {
  const isStream = journey.body?.essentials.sizes.stream ?? false;
  const isWhole = !isStream && journey.lease.seq !== 0;
  const { headerTimeoutMs = {} } = journey.snapshot.settings ?? {};
  const model = journey.lease.model ?? '';
  const sentMs = Math.floor((journey.body?.bytes.byteLength ?? 0) / SLOW_BYTES) * SECOND_MS;
  const limitMs = isWhole ? WHOLE_MS_MAX : sentMs + (headerTimeoutMs[model] ?? HEADERS_MS_MAX);
  let isLate = false;
  const giveUp = (): void => {
    isLate = true;
    ending.abort();
  };
  if (isWhole) {
    const givingUpAt = Date.now() + limitMs;
    running.onTick = () => {
      if (Date.now() > givingUpAt) giveUp();
    };
    return { alive: () => undefined, isLate: () => isLate, end: () => undefined };
  }
  let timer = setTimeout(giveUp, limitMs);
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, limitMs);
  };
  return { alive, isLate: () => isLate, end: () => clearTimeout(timer) };
}

function callOf(journey: Journey, signal: AbortSignal): UpstreamCall {
  const { request, url, body, lease, config } = journey;
  const { bytes, plain, essentials } = body ?? {};
  const hasBody = bytes !== undefined && plain !== undefined && essentials !== undefined;
  return {
    operation: OPERATIONS[journey.operation] ?? 'messages',
    method: request.method,
    path: upstreamPath(url.pathname),
    search: url.search,
    headers: request.headers,
    body: hasBody ? { bytes, plain, isStream: essentials.sizes.stream } : null,
    model: lease.model,
    askedModel: essentials?.model ?? null,
    now: Date.now(),
    environment: config.environment,
    signal,
  };
}

const OPERATIONS: Readonly<Record<string, UpstreamOperation>> = {
  messages: 'messages',
  count_tokens: 'count_tokens',
  models: 'models',
  model: 'model',
};

async function send(
  { journey, candidate: { account }, via }: Trial,
  call: UpstreamCall,
  signal: AbortSignal,
): Promise<Result<Response, Exclude<Reply['how'], 'answered'>>> {
  const { config } = journey;
  const credential = await credentialOf(account, config.masterKeys);
  if (credential === null) return fail('credential');
  const upstream = upstreamOf(account.kind);
  const prepared = await upstream.prepare(account, credential, call);
  if (!prepared.ok) {
    const { why, detail } = prepared.error;
    log('call-not-prepared', { request: journey.requestId, account: account.id, why, detail });
    return fail(HOW[why]);
  }
  const ownHosts = ownHostsOf(journey.url, config);
  const way = { ownHosts, account, ...(via === null ? {} : { via }) };
  const response = await upstreamFetch({ ...prepared.value, signal }, config.environment, way);
  if (response.status >= 300 && response.status < 400) return fail('redirect');
  const answer = await upstream.translate(response, call);
  const original = originalOf(answer);
  if (original !== null) {
    // A cloud's own words may name accounts: they are for the log alone.
    log('refused-by-upstream', { request: journey.requestId, account: account.id, original });
  }
  return ok(answer);
}

const HOW = {
  credential: 'credential',
  'token-refused': 'token-refused',
  'token-unreachable': 'token-unreachable',
  request: 'unsendable',
} as const satisfies Record<PrepareFailure['why'], Reply['how']>;

interface Look {
  readonly ending: AbortController;
  readonly onBytes: () => void;
}

/** Looks at what came as far as must be known before any of it may leave. */
async function look(trial: Trial, response: Response, given: Look): Promise<Tried> {
  const cancel = (): void => given.ending.abort();
  if (response.status >= 400) return lookAtRefusal(response, cancel);
  const type = response.headers.get('content-type') ?? '';
  const reply = replyOf(response);
  const isEmpty = !bearsBody(response.status) || response.headers.get('content-length') === '0';
  if (/^text\/html\b/i.test(type) || isEmpty) {
    cancel();
    return failure('unreadable', response.status);
  }
  const whole: Piece = { response, beginning: NOTHING, rest: response.body, cancel };
  const isHeld = /^text\/event-stream\b/i.test(type) && trial.journey.lease.seq !== 0;
  if (!isHeld || response.body === null) return { is: 'answer', reply, answer: whole };
  const beginning = await beginningOf(response.body, {
    letPingsGo: (pings) => trial.early.say(pings),
    onBytes: given.onBytes,
    holdMs: HOLD_MS,
  }).catch((error: unknown) => {
    if (given.ending.signal.aborted) throw error;
    return { is: 'broke-off' } as const;
  });
  if (beginning.is === 'broke-off') return failure('broke-off', response.status);
  const { held, rest } = beginning;
  const answer = { response, beginning: held, rest, cancel };
  if (beginning.is === 'answer') return { is: 'answer', reply, answer };
  const { status, type: kind, code, message, body } = beginning.error;
  const said: Reply = { ...reply, status, type: kind, code, message };
  const refusal = asRefusal(answer, status, body);
  return { is: 'failure', reply: said, refusal, asItCame: answer };
}

/** Whether an answer of `status` can hold a message; no other could be handed on either. */
export function bearsBody(status: number): boolean {
  return status >= 200 && status <= 599 && status !== 204 && status !== 205;
}

/** An error event that was the whole answer: nothing has left, so its status can be told. */
function asRefusal({ response, cancel }: Piece, status: number, body: Uint8Array): Piece {
  const headers = new Headers(response.headers);
  headers.set('content-type', 'application/json');
  const refusal = new Response(null, { status, headers });
  return { response: refusal, beginning: new Uint8Array(body), rest: null, cancel };
}

async function lookAtRefusal(response: Response, cancel: () => void): Promise<Tried> {
  const limits = { bytes: REFUSAL_BYTES_MAX, ms: REFUSAL_MS_MAX };
  const body = await readUpTo(response.body, limits);
  if (body === null) cancel();
  const isJson = /^application\/json\b/i.test(response.headers.get('content-type') ?? '');
  const isReadable = isJson && body !== null && bearsBody(response.status);
  const facts = isReadable ? errorFactsOf(body) : {};
  const reply = { ...replyOf(response), ...facts };
  const refusal = isReadable ? { response, beginning: body, rest: null, cancel } : null;
  if (refusal !== null) return { is: 'failure', reply, refusal, asItCame: refusal };
  // A client that is at fault must learn it, or it asks again and again.
  const isKnown = bearsBody(response.status);
  return { is: 'failure', reply, refusal, asItCame: isKnown ? wordless(response, cancel) : null };
}

/** `response` in the relay's own words, under its status. */
export function wordless({ status, headers: given }: Response, cancel: () => void): Piece {
  const { type, message } = refusedWith(status);
  const headers = new Headers({ 'content-type': 'application/json' });
  for (const name of ['request-id', 'retry-after', 'retry-after-ms', 'x-should-retry']) {
    const value = given.get(name);
    if (value !== null) headers.set(name, value);
  }
  const body = JSON.stringify({ type: 'error', error: { type, message } });
  const beginning = new Uint8Array(new TextEncoder().encode(body));
  return { response: new Response(null, { status, headers }), beginning, rest: null, cancel };
}

function replyOf(response: Response): Reply {
  const retryAfterMs = retryAfterMsOf(response.headers, Date.now());
  const unsaid = { type: null, code: null, message: '' };
  return { how: 'answered', status: response.status, ...unsaid, retryAfterMs };
}

function failure(how: Reply['how'], status: number | null = null): Tried {
  const reply = { how, status, type: null, code: null, message: '', retryAfterMs: null };
  return { is: 'failure', reply, refusal: null, asItCame: null };
}

const NOTHING = new Uint8Array(0);
