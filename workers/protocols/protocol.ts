// What every wire format says in the same words: the essentials of a request, and what its answer
// used. It reads nothing itself; each protocol's folder does.

import type { RelayError } from '../domain/errors';
import type { RequestSizes } from '../domain/ledger/calls';
import type { Result } from '../domain/result';
import type { Usage, UsageFlag } from '../domain/usage/tokens';
import type { ByteRange } from './json-cursor';

/** An id in the body of something that a provider holds. */
export interface HeldId {
  /** The field it stood in, for the refusal's words. */
  readonly field: string;
  readonly id: string;
}

/**
 * What ties requests to one conversation, best first. `prefix` gives byte ranges of the request
 * body (in order, to be hashed as they are); it may be empty.
 */
export type ConversationSource =
  | { readonly kind: 'session'; readonly value: string }
  | { readonly kind: 'thread'; readonly value: string }
  | { readonly kind: 'prefix'; readonly ranges: readonly ByteRange[] };

/** What the relay must know of a request before it can admit and route it. */
export interface Essentials {
  /** As the client wrote it: 1 to 256 characters. */
  readonly model: string;
  /** Other models that the request allows to be served or called beside the main one. */
  readonly fallbackModels: readonly string[];
  readonly sizes: RequestSizes;
  /** What was asked; null: not said. The answer says what was given. */
  readonly speed: string | null;
  readonly geo: string | null;
  readonly tier: string | null;
  /** Without repeats. */
  readonly heldIds: readonly HeldId[];
  /**
   * Optional top-level fields that the body has, of those that are documented, without repeats;
   * what nobody knows is the upstream's to judge.
   */
  readonly fields: readonly string[];
  /** Types of the tools that the body defines, as written, without repeats. */
  readonly toolTypes: readonly string[];
  readonly conversation: ConversationSource;
}

/** Calls of tools that ran upstream, counted by the blocks that tell of them. */
export interface ServerToolCalls {
  readonly calls: number;
  /** Those that are web searches, which have a price of their own. */
  readonly searches: number;
  /** Those whose results the reported input does not hold yet. */
  readonly unreportedCalls: number;
}

/** What is known of an answer so far. */
export interface MeterReading {
  /** The upstream began to answer (`message_start`; JSON: a message). */
  readonly started: boolean;
  /** The answer came to its own end (`message_stop`; JSON: whole, errors included). */
  readonly finished: boolean;
  /** As reported so far; null: nothing readable was reported. */
  readonly usage: Usage | null;
  readonly flags: readonly UsageFlag[];
  /** UTF-8 bytes of text, tool JSON and visible thinking that were delivered. */
  readonly deliveredBytes: number;
  /** The last cumulative output count; 0: none yet. */
  readonly reportedOutputTokens: number;
  /** The model thinks without showing it: tokens that no byte tells of. */
  readonly hiddenThinkingOpen: boolean;
  /** Thinking blocks that closed unseen since the last cumulative output count. */
  readonly hiddenThinkingClosed: number;
  /** The upstream's own coarse running estimate of hidden thinking; 0: it gives none. */
  readonly estimatedThinkingTokens: number;
  readonly serverTools: ServerToolCalls;
  /** What the upstream said went wrong. */
  readonly error: { readonly type: string; readonly message: string } | null;
  readonly messageId: string | null;
  /** The model that serves the answer. */
  readonly model: string | null;
  readonly stopReason: string | null;
  /** Ids that the provider now holds for this answer's user. */
  readonly heldIds: readonly string[];
}

/** What a meter must know of the request. */
export interface MeterOptions {
  /** The model that was sent upstream. */
  readonly askedModel: string;
  /** The longest cache lifetime asked for: prices writes whose lifetime the answer leaves open. */
  readonly cacheTtl: RequestSizes['cacheTtl'];
}

/** Reads a copy of an answer's bytes, at any chunking, and never throws. */
export interface StreamMeter {
  push(bytes: Uint8Array): void;
  reading(): MeterReading;
}

/** An error as an HTTP answer. */
export interface RenderedError {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** What a wire format must be able to do. `Operation` names its kinds of requests. */
export interface Protocol<Operation extends string> {
  readEssentials(body: Uint8Array, operation: Operation): Result<Essentials, RelayError>;
  createStreamMeter(options: MeterOptions): StreamMeter;
  readJsonAnswer(body: Uint8Array, options: MeterOptions): MeterReading;
  renderError(error: RelayError, requestId: string): RenderedError;
  /** The same error as an event of a stream already begun. */
  renderStreamError(error: RelayError, requestId: string): string;
  /** An event that says nothing but that the stream lives. */
  readonly ping: string;
}
