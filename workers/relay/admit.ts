// Step 2, admit: the one call to the wallet's Ledger before anything is dispatched. No lease, no
// call upstream; an answer that is late is taken back by a `void`.

import type { RelayError } from '../domain/errors';
import type {
  AdmitAnswer,
  AdmitCall,
  Lease,
  RequestClass,
  RequestSizes,
  RequestTags,
} from '../domain/ledger/calls';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { withinMs } from '../platform/clock';
import { isMarked, ledgerOf } from '../platform/objects';
import type { Bearer, ReadBody, Visit } from './journey';
import { settleVoid } from './settle';
import { heldVersion } from './snapshot';

/** Slower than this is as good as unreachable. */
const ADMIT_MS_MAX = 3 * SECOND_MS;

const NO_SIZES: RequestSizes = {
  stream: false,
  maxTokens: null,
  textBytes: 0,
  media: { small: 0, medium: 0, large: 0 },
  cacheTtl: 'none',
  serverToolUses: 0,
};

export interface AdmitRequest {
  readonly class: RequestClass;
  readonly body: ReadBody | null;
  /** Names a model where there is no body. */
  readonly model: string | null;
  /** 64-bit tag of the conversation. */
  readonly conversation: string | null;
}

/** The lease of a request, or why it may not run. Unreachable: 503, nothing is dispatched. */
export async function admit(
  visit: Visit,
  bearer: Bearer,
  request: AdmitRequest,
): Promise<Result<Lease, RelayError>> {
  const { walletId, region } = bearer.parts;
  const call = callOf(visit, bearer, request);
  try {
    const ask = (): Promise<AdmitAnswer> => ledgerOf(visit.env, walletId, region).admit(call);
    const answer = await withinMs(ask().catch(againIfRetryable(ask)), ADMIT_MS_MAX);
    if (answer === 'late') {
      takeBack(visit, bearer, request);
      return fail(LEDGER_BUSY);
    }
    return answer.ok ? ok(answer.lease) : fail(answer.error);
  } catch (error) {
    log('ledger-unreachable', { request: visit.requestId, error: String(error) });
    takeBack(visit, bearer, request);
    return fail(LEDGER_BUSY);
  }
}

/** A row may have been opened all the same; class `free` has none. */
function takeBack(visit: Visit, bearer: Bearer, request: AdmitRequest): void {
  if (request.class === 'metered') visit.ctx.waitUntil(settleVoid(visit, bearer));
}

const LEDGER_BUSY: RelayError = { kind: 'busy', what: 'ledger', retryAfterMs: SECOND_MS };

function callOf(visit: Visit, bearer: Bearer, request: AdmitRequest): AdmitCall {
  const essentials = request.body?.essentials;
  const tags = tagsOf(visit.request.headers);
  return {
    requestId: visit.requestId,
    keyId: bearer.parts.keyId,
    keyHash: bearer.hash,
    ...(bearer.by === undefined ? {} : { by: bearer.by }),
    class: request.class,
    model: essentials?.model ?? request.model,
    fallbackModels: essentials?.fallbackModels ?? [],
    pricesVersion: heldVersion(visit.receivedAt),
    sizes: essentials?.sizes ?? NO_SIZES,
    asked: {
      speed: essentials?.speed ?? null,
      geo: essentials?.geo ?? null,
      tier: essentials?.tier ?? null,
    },
    userAgent: visit.request.headers.get('user-agent') ?? '',
    address: visit.request.headers.get('cf-connecting-ip') ?? '',
    conversation: ownConversation(request.conversation, tags),
    heldIds: essentials?.heldIds ?? [],
    tags,
  };
}

/**
 * A sub-agent shares its session's account, but its prompt is its own: each is held by what is
 * known of it, and none makes the others cold.
 */
function ownConversation(session: string | null, { agent }: RequestTags): string | null {
  return session === null || agent === undefined ? session : `${session}.${agent}`;
}

/** Claude Code's own ids; opaque, cut to a length that a row can carry. */
function tagsOf(headers: Headers): RequestTags {
  const tag = (name: string): string | undefined => headers.get(name)?.slice(0, 64) || undefined;
  return {
    ...given('session', tag('x-claude-code-session-id')),
    ...given('agent', tag('x-claude-code-agent-id')),
    ...given('requestClass', tag('x-claude-code-request-class')),
    ...given('prompt', tag('x-claude-code-prompt-id')),
  };
}

function given<K extends keyof RequestTags>(name: K, value: string | undefined): RequestTags {
  return value === undefined ? {} : { [name]: value };
}

/**
 * An object that was just moved or updated says so; the call is idempotent, so it is made again.
 */
function againIfRetryable(ask: () => Promise<AdmitAnswer>) {
  return (error: unknown): Promise<AdmitAnswer> => {
    if (isMarked(error, 'retryable')) return ask();
    throw error;
  };
}
