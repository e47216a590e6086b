// The journey of a model's request on one page: read > admit > schedule > forward > stream >
// settle.

import type { RelayError } from '../domain/errors';
import { facts } from '../domain/errors';
import { log } from '../observe/log';
import { admit } from './admit';
import { endedByRelay, errorAnswer, eventHeaders } from './answer';
import { estimatedCount } from './count';
import { freeEnding, leftBeforeHeaders } from './ending';
import type { Unanswered } from './forward';
import { forward } from './forward';
import type { Admitted, Bearer, Journey, ReadBody, Visit } from './journey';
import { tellStarted } from './live';
import { passOn } from './pass-on';
import type { Early } from './patience';
import { earlyWords, PATIENCE, withPatience } from './patience';
import type { Running } from './progress';
import { atRest, keepAlive } from './progress';
import { readBody } from './read';
import { conversationTag, COUNTS_NOTHING, scheduling } from './schedule';
import { REACHED_NOTHING, settle } from './settle';
import { currentSnapshot } from './snapshot';

/** What a step hands back: the client's answer, and what must still be done behind it. */
export interface Travelled {
  readonly response: Response;
  readonly finished: Promise<void>;
}

/** Answers a `messages` or `count_tokens` request; the journey outlives a client that leaves. */
export async function handle(visit: Visit, bearer: Bearer): Promise<Response> {
  const operation = visit.operation === 'messages' ? 'messages' : 'count_tokens';
  const read = await readBody(visit.request, operation);
  if (!read.ok) return refused(visit, read.error).response;
  const body = read.value;
  const early = earlyWords();
  const travelled = travel(visit, bearer, { body, early }).finally(body.release);
  const finished = travelled.then((done) => done.finished);
  visit.ctx.waitUntil(finished.catch((error: unknown) => failed(visit, error)));
  const response = travelled.then((done) => done.response);
  return body.essentials.sizes.stream
    ? withPatience(response, { headers: () => eventHeaders(visit), early }, PATIENCE)
    : response;
}

/** What a request brings along besides its key. */
interface Luggage {
  readonly body: ReadBody;
  readonly early: Early;
}

async function travel(visit: Visit, bearer: Bearer, { body, early }: Luggage): Promise<Travelled> {
  const requestClass = visit.operation === 'messages' ? 'metered' : 'free';
  const conversation = await conversationTag(visit, bearer, body);
  const [lease, snapshot] = await Promise.all([
    admit(visit, bearer, { class: requestClass, body, model: null, conversation }),
    currentSnapshot(visit),
  ]);
  if (!lease.ok) return refused(visit, lease.error);
  const admitMs = Date.now() - visit.receivedAt;
  const admitted = { ...visit, bearer, lease: lease.value, admitMs };
  tellStarted(admitted);
  if (!snapshot.ok) return returned(admitted, snapshot.error);
  if (visit.request.signal.aborted) return returned(admitted, CLIENT_GONE);
  const journey = { ...admitted, snapshot: snapshot.value, body };
  return dispatch(journey, { conversation, early });
}

async function dispatch(
  journey: Journey,
  { conversation, early }: { readonly conversation: string; readonly early: Early },
): Promise<Travelled> {
  const running = { ...atRest(), costNanos: () => journey.lease.likelyInputNanos };
  const rest = keepAlive(journey, running);
  const accounts = scheduling(journey, conversation);
  const forwarded = await forward(journey, accounts, { running, early });
  const travelled = forwarded.ok
    ? await passOn(journey, forwarded.value, running)
    : unanswered(journey, forwarded.error, running);
  return { ...travelled, finished: travelled.finished.finally(rest) };
}

/** A bug: the client has its 500; the row, if there is one, is closed by the ledger's alarm. */
function failed(visit: Visit, error: unknown): void {
  log('journey-failed', { request: visit.requestId, error: String(error) });
}

/** Refused before a lease was given: nothing to settle. */
function refused(visit: Visit, error: RelayError): Travelled {
  log('refused', { request: visit.requestId, operation: visit.operation, code: facts(error).code });
  return { response: errorAnswer(visit, error), finished: Promise.resolve() };
}

/** A lease that could not be used. */
function returned(admitted: Admitted, error: RelayError): Travelled {
  const finished = settle(admitted, freeEnding('void'), REACHED_NOTHING);
  return { response: errorAnswer(admitted, error), finished };
}

/** No account gave an answer: it costs nothing, unless the client did not wait for it. */
function unanswered(journey: Journey, given: Unanswered, running: Running): Travelled {
  const { error, attempts, leftAt } = given;
  const accountId = attempts.at(-1)?.accountId ?? null;
  const reached = { ...REACHED_NOTHING, attempts, accountId, leftAt };
  if (error === 'client-left' || error === 'stopped') {
    const word = running.stopped ?? 'stopped';
    const closing = error === 'client-left' ? error : word;
    // Who goes while nobody is called leaves nothing behind that was read.
    const { wasCalling } = given;
    const ending = wasCalling ? leftBeforeHeaders(journey.lease, closing) : freeEnding(closing);
    const said = error === 'client-left' ? CLIENT_GONE : endedByRelay(word);
    return { response: errorAnswer(journey, said), finished: settle(journey, ending, reached) };
  }
  if (error.kind === 'bad-request' && error.message === COUNTS_NOTHING) {
    const finished = settle(journey, freeEnding('completed'), reached);
    return { response: estimatedCount(journey), finished };
  }
  const ending = freeEnding(attempts.length === 0 ? 'void' : 'upstream-failed');
  return { response: errorAnswer(journey, error), finished: settle(journey, ending, reached) };
}

/** For a client that is no longer there to read it. */
const CLIENT_GONE: RelayError = { kind: 'bad-request', message: 'The client left.' };
