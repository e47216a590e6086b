// Reads from the bytes of a Messages (or count_tokens) request what the relay must know before it
// may admit and route it, without parsing the body: the client's bytes are what will be sent. It
// refuses only what cannot be a request at all; which fields, values and betas exist is the
// upstream's to judge, so unknown fields never matter.

import type { RelayError } from '../../domain/errors';
import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import type { ByteRange } from '../json-cursor';
import { JsonCursor, knownKeys } from '../json-cursor';
import type { Essentials } from '../protocol';
import { conversationOf, isAttribution, readMetadata } from './conversation';
import type { Findings } from './request-walk';
import {
  addModel,
  holdId,
  noFindings,
  readCacheControl,
  readHeldId,
  readTool,
  WALKED_KEYS,
  walkField,
  walkValue,
} from './request-walk';

const MODEL_LENGTH_MAX = 256;
/** 256 characters, each written as an escape at worst. */
const MODEL_BYTES_MAX = MODEL_LENGTH_MAX * 12;
const WORD_BYTES_MAX = 256;

/** The two operations that carry a prompt. */
export type AnthropicOperation = 'messages' | 'count_tokens';

/** A body as far as it has been read. */
interface Draft extends Findings {
  readonly body: Uint8Array;
  readonly operation: AnthropicOperation;
  readonly seen: Set<string>;
  readonly fields: Set<string>;
  model: string | null;
  maxTokens: number | null;
  /** The largest `max_tokens` that a fallback sets for itself. */
  fallbackMaxTokens: number;
  stream: boolean;
  speed: string | null;
  fallbackSpeed: string | null;
  geo: string | null;
  tier: string | null;
  session: string | null;
  thread: string | null;
  system: readonly ByteRange[];
  firstUser: readonly ByteRange[] | null;
}

type Reader = (cursor: JsonCursor, draft: Draft) => void;

/** Top-level fields that the relay reads; each may stand in a body once. */
const READERS: Readonly<Record<string, Reader>> = {
  model: readModel,
  messages: readMessages,
  max_tokens: readMaxTokens,
  stream: readStream,
  system: readSystem,
  tools: readTools,
  metadata: (cursor, draft) => {
    draft.session = readMetadata(cursor);
  },
  cache_control: readCacheControl,
  speed: word('speed'),
  inference_geo: word('geo'),
  service_tier: word('tier'),
  fallbacks: readFallbacks,
  container: readContainer,
  thread: readThread,
  diagnostics: heldUnder('previous_message_id', 'diagnostics.previous_message_id'),
  fallback_credit_token: heldUnder('token', 'fallback_credit_token'),
  previous_response_id: heldUnder('id', 'previous_response_id'),
};

/** Fields that only some upstreams take: that they are there matters, not what is in them. */
const OPTIONAL_FIELDS = new Set([
  'billing_policy',
  'cache_control',
  'compaction',
  'container',
  'context_management',
  'diagnostics',
  'fallback_credit_token',
  'fallbacks',
  'inference_geo',
  'mcp_servers',
  'output_config',
  'safeguards',
  'service_tier',
  'speed',
  'tags',
  'thread',
  'user_profile_id',
]);

const KEYS = knownKeys([
  ...new Set([
    ...Object.keys(READERS),
    ...OPTIONAL_FIELDS,
    ...WALKED_KEYS,
    'id',
    'previous_message_id',
    'role',
    'skill_id',
    'skills',
    'token',
    'user_id',
  ]),
]);

/**
 * The essentials of a request, or why it is none (`bad-request`, in the API's own words where it
 * has them). One pass over the bytes; structure is checked to the end, the inside of strings that
 * are not read is left to the upstream.
 */
export function readEssentials(
  body: Uint8Array,
  operation: AnthropicOperation,
): Result<Essentials, RelayError> {
  const cursor = new JsonCursor(body, KEYS);
  const draft = newDraft(body, operation);
  const isObject = cursor.enterObject();
  if (isObject) readFields(cursor, draft);
  else cursor.skip();
  if (!cursor.finish() && cursor.problem !== null) {
    const { message, position } = cursor.problem;
    return refuse(`The request body is not valid JSON: ${message} at byte ${position}`);
  }
  if (!isObject) return refuse('The request body is not valid: Input should be a JSON object');
  return essentialsOf(draft);
}

function newDraft(body: Uint8Array, operation: AnthropicOperation): Draft {
  return {
    ...noFindings(),
    body,
    operation,
    seen: new Set(),
    fields: new Set(),
    model: null,
    maxTokens: null,
    fallbackMaxTokens: 0,
    stream: false,
    speed: null,
    fallbackSpeed: null,
    geo: null,
    tier: null,
    session: null,
    thread: null,
    system: [],
    firstUser: null,
  };
}

function readFields(cursor: JsonCursor, draft: Draft): void {
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (OPTIONAL_FIELDS.has(key)) draft.fields.add(key);
    const reader = Object.hasOwn(READERS, key) ? READERS[key] : undefined;
    if (reader === undefined) {
      walkField(key, cursor, draft);
      continue;
    }
    // Parsers differ in which of two they take: what is checked here must be what is served there.
    if (draft.seen.has(key)) draft.problem ??= `${key}: Field given more than once`;
    draft.seen.add(key);
    reader(cursor, draft);
  }
}

function essentialsOf(draft: Draft): Result<Essentials, RelayError> {
  const { model, seen } = draft;
  if (draft.problem !== null) return refuse(draft.problem);
  if (model === null) return refuse('model: Field required');
  if (!seen.has('messages')) return refuse('messages: Field required');
  const isMessages = draft.operation === 'messages';
  if (isMessages && draft.maxTokens === null) return refuse('max_tokens: Field required');
  const { session, thread, system, firstUser, media, cacheTtl, serverToolUses } = draft;
  return ok({
    model,
    fallbackModels: draft.models,
    sizes: {
      stream: draft.stream,
      maxTokens: isMessages ? Math.max(draft.maxTokens ?? 0, draft.fallbackMaxTokens) : null,
      textBytes: draft.body.length - draft.mediaBytes,
      media,
      cacheTtl,
      serverToolUses,
    },
    speed: draft.speed ?? draft.fallbackSpeed,
    geo: draft.geo,
    tier: draft.tier,
    heldIds: draft.heldIds,
    fields: [...draft.fields],
    toolTypes: draft.toolTypes,
    conversation: conversationOf({ session, thread, system, firstUser: firstUser ?? [] }),
  });
}

function refuse(message: string): Result<never, RelayError> {
  return fail({ kind: 'bad-request', message });
}

function readModel(cursor: JsonCursor, draft: Draft): void {
  if (cursor.kind() !== 'string') {
    draft.problem ??= 'model: Input should be a valid string';
    return cursor.skip();
  }
  const model = cursor.readString(MODEL_BYTES_MAX);
  if (model === '') draft.problem ??= 'model: String should have at least 1 character';
  else if (model === null || model.length > MODEL_LENGTH_MAX) {
    draft.problem ??= `model: String should have at most ${MODEL_LENGTH_MAX} characters`;
  } else draft.model = model;
}

function readMaxTokens(cursor: JsonCursor, draft: Draft): void {
  // count_tokens has no such field; whether it is minded there is the upstream's affair.
  if (draft.operation !== 'messages') return cursor.skip();
  const isNumber = cursor.kind() === 'number';
  const value = cursor.readNumber();
  if (!isNumber || value === null || !Number.isSafeInteger(value)) {
    draft.problem ??= 'max_tokens: Input should be a valid integer';
  } else if (value < 0) {
    draft.problem ??= 'max_tokens: Input should be greater than or equal to 0';
  } else draft.maxTokens = value === 0 ? 0 : value;
}

function readStream(cursor: JsonCursor, draft: Draft): void {
  const kind = cursor.kind();
  if (kind !== 'true' && kind !== 'false' && kind !== 'null') {
    draft.problem ??= 'stream: Input should be a valid boolean';
  }
  draft.stream = kind === 'true';
  cursor.skip();
}

function readSystem(cursor: JsonCursor, draft: Draft): void {
  const texts: ByteRange[] = [];
  draft.system = texts;
  const whole = cursor.readRange();
  if (whole !== null) {
    texts.push(whole);
    return;
  }
  draft.texts = texts;
  walkValue(cursor, draft);
  draft.texts = null;
  // The attribution block names the client's version: not part of what makes a conversation.
  const first = texts[0];
  if (first !== undefined && isAttribution(draft.body, first)) texts.shift();
}

function readMessages(cursor: JsonCursor, draft: Draft): void {
  if (!cursor.enterArray()) {
    draft.problem ??= 'messages: Input should be a valid list';
    return cursor.skip();
  }
  while (cursor.nextElement()) {
    if (draft.firstUser === null) readEarlyMessage(cursor, draft);
    else walkValue(cursor, draft);
  }
}

/** A message that may be the first of the user: its texts are noted until its role is known. */
function readEarlyMessage(cursor: JsonCursor, draft: Draft): void {
  if (!cursor.enterObject()) return walkValue(cursor, draft);
  const texts: ByteRange[] = [];
  draft.texts = texts;
  let isUser = false;
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (key === 'role') {
      isUser = cursor.readString(WORD_BYTES_MAX) === 'user';
    } else if (key === 'content' && cursor.kind() === 'string') {
      const range = cursor.readRange();
      if (range !== null) texts.push(range);
    } else {
      walkField(key, cursor, draft);
    }
  }
  draft.texts = null;
  if (isUser) draft.firstUser = texts;
}

function readTools(cursor: JsonCursor, draft: Draft): void {
  if (!cursor.enterArray()) return walkValue(cursor, draft);
  while (cursor.nextElement()) readTool(cursor, draft);
}

/** Each entry names a model and may set its own `max_tokens` and `speed` (or it is "default"). */
function readFallbacks(cursor: JsonCursor, draft: Draft): void {
  if (!cursor.enterArray()) return walkValue(cursor, draft);
  while (cursor.nextElement()) {
    if (!cursor.enterObject()) {
      walkValue(cursor, draft);
      continue;
    }
    for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
      if (key === 'model') addModel(cursor.readString(MODEL_BYTES_MAX) ?? '', draft);
      else if (key === 'max_tokens') readFallbackMaxTokens(cursor, draft);
      else if (key === 'speed') draft.fallbackSpeed ??= cursor.readString(WORD_BYTES_MAX);
      else walkField(key, cursor, draft);
    }
  }
}

function readFallbackMaxTokens(cursor: JsonCursor, draft: Draft): void {
  const value = cursor.readNumber();
  if (value === null || !Number.isSafeInteger(value)) return;
  draft.fallbackMaxTokens = Math.max(draft.fallbackMaxTokens, value);
}

/** A field that is an id, or an object with the id under `inner`. */
function heldUnder(inner: string, field: string): Reader {
  return (cursor, draft) => {
    if (!cursor.enterObject()) return void readHeldId(field, cursor, draft);
    for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
      if (key === inner) readHeldId(field, cursor, draft);
      else walkField(key, cursor, draft);
    }
  };
}

/** A field that is one word. */
function word(field: 'speed' | 'geo' | 'tier'): Reader {
  return (cursor, draft) => {
    draft[field] = cursor.readString(WORD_BYTES_MAX);
  };
}

/** A container's id, or an object with it; skills that are not the vendor's own are held too. */
function readContainer(cursor: JsonCursor, draft: Draft): void {
  if (!cursor.enterObject()) return void readHeldId('container', cursor, draft);
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (key === 'id') readHeldId('container', cursor, draft);
    else if (key === 'skills') readSkills(cursor, draft);
    else walkField(key, cursor, draft);
  }
}

function readSkills(cursor: JsonCursor, draft: Draft): void {
  if (!cursor.enterArray()) return walkValue(cursor, draft);
  while (cursor.nextElement()) readSkill(cursor, draft);
}

function readSkill(cursor: JsonCursor, draft: Draft): void {
  if (!cursor.enterObject()) return walkValue(cursor, draft);
  const types: (string | null)[] = [];
  const ids = noFindings();
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (key === 'type') types.push(cursor.readString(WORD_BYTES_MAX));
    else if (key === 'skill_id') readHeldId('container.skills', cursor, ids);
    else walkField(key, cursor, draft);
  }
  draft.problem ??= ids.problem;
  const isVendors = types.length > 0 && types.every((type) => type === 'anthropic');
  if (!isVendors) for (const held of ids.heldIds) holdId(held, draft);
}

/** `{type: "create"}`, or `{type: "continue", previous_message_id}`: every id in it is held. */
function readThread(cursor: JsonCursor, draft: Draft): void {
  if (!cursor.enterObject()) return void readHeldId('thread', cursor, draft);
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (key === 'type') cursor.skip();
    else if (key !== 'previous_message_id') readHeldId('thread', cursor, draft);
    else draft.thread = readHeldId('thread.previous_message_id', cursor, draft) || null;
  }
}
