// From headers to the end: which of three ways an answer takes. A refusal and a free answer pass as
// they are; a short JSON answer is read whole and passed on; everything else flows.

import type { RelayError } from '../domain/errors';
import type { Nanos } from '../domain/money';
import { ZERO_NANOS } from '../domain/money';
import { providerOf } from '../domain/snapshot';
import { MINUTE_MS } from '../domain/time';
import { anthropic } from '../protocols/anthropic';
import type { MeterOptions } from '../protocols/protocol';
import { endedByRelay, errorAnswer, passedHeaders } from './answer';
import { onAbort } from './client';
import type { Ending, How, Read } from './ending';
import { costSoFar, endingOf, freeEnding, inputSoFar } from './ending';
import { watchHold } from './extend';
import type { Travelled } from './handle';
import type { Answer, Journey } from './journey';
import { noteCost, noteEnd } from './health';
import { keptOf } from './kept';
import { tellFirstByte } from './live';
import type { AnswerType, Meter } from './meter';
import { meterOf } from './meter';
import type { Running } from './progress';
import { givenUpBy } from './progress';
import { familyOf } from './schedule';
import type { Reached } from './settle';
import { settle } from './settle';
import { flow } from './stream';

/** A JSON answer of a known length up to this is read whole: one wake-up, nothing to estimate. */
const WHOLE_BYTES_MAX = 256 * 1024;
/** A running answer without any byte for this long, or a short one in all, is an upstream gone. */
const SILENCE_MS_MAX = 2 * MINUTE_MS;
const encoder = new TextEncoder();

/** Passes `answer` on to the client and settles behind it. */
export async function passOn(
  journey: Journey,
  answer: Answer,
  running: Running,
): Promise<Travelled> {
  tellFirstByte(journey, answer);
  const { response } = answer;
  const type = contentType(response);
  if (response.status >= 400) return passRefusal(journey, answer);
  if (journey.lease.seq === 0) return passFree(journey, answer);
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const isPlain = response.headers.get('content-encoding') === null;
  if (type === 'json' && isPlain && length <= WHOLE_BYTES_MAX) {
    return passWhole(journey, answer, running);
  }
  return passFlowing(journey, answer, running);
}

function contentType(response: Response): AnswerType {
  const type = response.headers.get('content-type') ?? '';
  if (/^text\/event-stream\b/i.test(type)) return 'events';
  return /^application\/json\b/i.test(type) ? 'json' : 'other';
}

/** The upstream's refusal, in the client's own protocol, passes unmodified. */
function passRefusal(journey: Journey, answer: Answer): Travelled {
  const closing = answer.response.status < 500 ? 'upstream-refused' : 'upstream-failed';
  const finished = close(journey, answer, unserved(closing));
  return { response: unmodified(journey, answer), finished };
}

function passFree(journey: Journey, answer: Answer): Travelled {
  const finished = close(journey, answer, unserved('completed'));
  return { response: unmodified(journey, answer), finished };
}

/** What was read of it, or what was not: a refusal is read whole, a free answer not at all. */
function unmodified(journey: Journey, { response, beginning, rest }: Answer): Response {
  const headers = headersOf(journey, response);
  return new Response(rest ?? beginning, { status: response.status, headers });
}

/** The upstream's headers, and how the user's own limits stand. */
function headersOf(journey: Journey, response: Response): Headers {
  const headers = passedHeaders(response.headers, journey);
  if (!response.ok) return headers;
  for (const [name, value] of Object.entries(journey.lease.notice ?? {})) headers.set(name, value);
  return headers;
}

async function passWhole(journey: Journey, answer: Answer, running: Running): Promise<Travelled> {
  const { response, cancel, client } = answer;
  const meter = meterOf('json', meterOptions(journey));
  running.stop = cancel;
  const givingUpAt = Date.now() + SILENCE_MS_MAX;
  running.onTick = () => {
    if (Date.now() > givingUpAt) cancel();
  };
  const forget = onAbort(client.letGo, cancel);
  try {
    const body = new Uint8Array(await new Response(answer.rest).arrayBuffer());
    meter.push(body);
    const how = client.leftAt() === null ? 'whole' : 'drained';
    const finished = meteredClose(journey, answer, { how, meter });
    const headers = headersOf(journey, response);
    return { response: new Response(body, { status: response.status, headers }), finished };
  } catch {
    const who = givenUpBy(running, client);
    if (who !== null) {
      const finished = meteredClose(journey, answer, { how: who, meter });
      const word = who === 'left' ? 'stopped' : who;
      return { response: errorAnswer(journey, endedByRelay(word)), finished };
    }
    // Nothing of it reached the client: the account has paid, the user does not.
    const finished = close(journey, answer, unserved('upstream-failed'));
    return { response: errorAnswer(journey, { kind: 'upstream-ended' }), finished };
  } finally {
    forget();
  }
}

function passFlowing(journey: Journey, answer: Answer, running: Running): Travelled {
  const { response, client } = answer;
  const type = contentType(response);
  const isEvents = type === 'events';
  const meter = meterOf(type, meterOptions(journey));
  let lastByteAt = Date.now();
  const isFinished = (): boolean => meter.reading().finished;
  const look = isEvents ? lookout(journey, meter, running) : (): void => undefined;
  const push = (bytes: Uint8Array): void => {
    lastByteAt = Date.now();
    meter.push(bytes);
    look();
    // Read on for one that has left: the last event is all that is waited for.
    if (client.leftAt() !== null && isEvents && isFinished()) flowing.stop('cut');
  };
  const flowing = flow({
    beginning: answer.beginning,
    body: answer.rest ?? new Response('').body ?? new ReadableStream(),
    sink: { push, complete: () => meter.complete() },
    isFinished,
    client,
    cancelUpstream: answer.cancel,
    lastWords: isEvents ? (how) => lastWords(journey, how, meter) : null,
  });
  running.stop = flowing.stop;
  running.onTick = () => {
    if (Date.now() - lastByteAt > SILENCE_MS_MAX) flowing.stop('cut');
    look();
  };
  running.costNanos = () => costSoFar(readingOf(meter), journey);
  running.inputNanos = () => inputSoFar(readingOf(meter), journey);
  running.usage = () => {
    const { usage, flags } = meter.reading();
    return flags.includes('usage-absurd') ? null : usage;
  };
  const finished = flowing.ended.then((how) => meteredClose(journey, answer, { how, meter }));
  const headers = headersOf(journey, response);
  return {
    response: new Response(flowing.readable, { status: response.status, headers }),
    finished,
  };
}

/**
 * Keeps the hold ahead of the stream. Where it keeps others out, it tells what the input costs once
 * that is known, and again with each call of a tool: a low balance does not hold for those.
 */
function lookout(journey: Journey, meter: Meter, running: Running): () => void {
  const watch = watchHold(journey, (word) => running.stop(word));
  const isLarge = journey.lease.hold?.reportInput === true;
  let toldCalls: number | null = null;
  return () => {
    const read = readingOf(meter);
    watch(read);
    const { calls } = read.reading.serverTools;
    if (!isLarge || calls === toldCalls || inputSoFar(read, journey) === null) return;
    toldCalls = calls;
    running.tell();
  };
}

/** An error event; what stands before it is closed with an empty line if it was left open. */
function lastWords(journey: Journey, how: How, meter: Meter): Uint8Array {
  const error: RelayError =
    how === 'whole' || how === 'cut' || how === 'left' || how === 'drained'
      ? { kind: 'upstream-ended' }
      : endedByRelay(how);
  const before = meter.midEvent() ? '\n\n' : '';
  return encoder.encode(before + anthropic.renderStreamError(error, journey.requestId));
}

function meterOptions(journey: Journey): MeterOptions {
  const { lease, body } = journey;
  return { askedModel: lease.model ?? '', cacheTtl: body?.essentials.sizes.cacheTtl ?? 'none' };
}

function meteredClose(
  journey: Journey,
  answer: Answer,
  end: { readonly how: How; readonly meter: Meter },
): Promise<void> {
  const read = readingOf(end.meter);
  const { status } = answer.response;
  const ending = endingOf({ status, how: end.how, ...read }, journey);
  const { account } = answer;
  const kept = keptOf({ account, reading: read.reading, usage: ending.usage }, journey);
  return close(journey, answer, { ...ending, ...kept, servedModel: read.reading.model });
}

function unserved(closing: Ending['closing']): Ending & { readonly servedModel: null } {
  return { ...freeEnding(closing), servedModel: null };
}

function readingOf(meter: Meter): Read {
  return { reading: meter.reading(), hiddenThinkingMs: meter.hiddenThinkingMs() };
}

function close(
  journey: Journey,
  answer: Answer,
  { servedModel, ...ending }: Ending & { readonly servedModel: string | null },
): Promise<void> {
  const { account, attempts, firstByteMs, response, client } = answer;
  const { status } = response;
  leaveAccount(journey, answer, ending.accountNanos ?? ending.costNanos);
  const times = { firstByteMs, leftAt: client.leftAt() };
  const reached: Reached = { status, accountId: account.id, attempts, ...times, servedModel };
  return settle(journey, ending, reached);
}

/** The account no longer works for this request; a refusal had ended when it was read. */
function leaveAccount(journey: Journey, answer: Answer, costNanos: Nanos): void {
  const { account, response, slot } = answer;
  if (response.status >= 400) return;
  noteEnd(account.id, slot);
  const of = { accountId: account.id, provider: providerOf(account), ...familyOf(journey) };
  noteCost(journey, { ...of, costNanos, absorbedNanos: ZERO_NANOS });
}
