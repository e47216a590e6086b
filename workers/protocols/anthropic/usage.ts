// Reads what a Messages answer used and delivered, from a copy of its bytes: events cut anywhere,
// or a JSON body. It never throws, whatever comes, and changes nothing: prices, estimates for
// answers that ended early and what to do about an error are decided elsewhere.

import type { UsageEntry, UsageFlag } from '../../domain/usage/tokens';
import { totalCounts } from '../../domain/usage/tokens';
import type { MeterOptions, MeterReading, StreamMeter } from '../protocol';
import type { SseEvent } from '../sse';
import { createSseSplitter } from '../sse';
import type { JsonObject, UsageDraft } from './usage-fold';
import {
  COUNT_MAX,
  isCount,
  mergeUsage,
  newUsageDraft,
  objectOf,
  textOf,
  usageOf,
} from './usage-fold';
import type { ToolBlocks } from './usage-tools';
import { callsOf, countToolBlock, markReported, newToolBlocks } from './usage-tools';

/** Events above this (search results, fetched files) hold no usage and are skipped unread. */
const METERED_EVENT_BYTES_MAX = 1_048_576;

const HELD_IDS_MAX = 200;
const HELD_ID_LENGTH_MAX = 4_096;
const HELD_ID_DEPTH_MAX = 32;
const ERROR_TYPE_LENGTH_MAX = 100;
const ERROR_MESSAGE_LENGTH_MAX = 1_000;

/** The field of each kind of delta that holds what the model wrote. */
const DELTA_TEXT: ReadonlyMap<unknown, string> = new Map([
  ['text_delta', 'text'],
  ['input_json_delta', 'partial_json'],
  ['thinking_delta', 'thinking'],
  ['compaction_delta', 'content'],
]);

/** The same of a block that comes whole, or begins with something in it. */
const BLOCK_TEXT: ReadonlyMap<unknown, string> = new Map([
  ['text', 'text'],
  ['thinking', 'thinking'],
  ['compaction', 'content'],
]);

const decoder = new TextDecoder();

interface Draft {
  readonly options: MeterOptions;
  readonly usage: UsageDraft;
  started: boolean;
  finished: boolean;
  /** The closing figures have come, not only the placeholder at the start. */
  hasFinalUsage: boolean;
  deliveredBytes: number;
  hiddenThinkingOpen: boolean;
  hiddenThinkingClosed: number;
  estimatedThinkingTokens: number;
  readonly tools: ToolBlocks;
  /** A block that no answer holds for nothing: any but empty text or the mark of a fallback. */
  hasContent: boolean;
  error: MeterReading['error'];
  messageId: string | null;
  model: string | null;
  stopReason: string | null;
  readonly heldIds: Set<string>;
}

/** A meter for one streamed answer. */
export function createStreamMeter(options: MeterOptions): StreamMeter {
  const splitter = createSseSplitter({ maxEventBytes: METERED_EVENT_BYTES_MAX });
  const draft = newDraft(options);
  return {
    push(bytes) {
      for (const event of splitter.push(bytes)) takeEvent(draft, event);
    },
    reading: () => readingOf(draft),
  };
}

/** The reading of a JSON answer, an error body included; `finished` is false if it is not JSON. */
export function readJsonAnswer(body: Uint8Array, options: MeterOptions): MeterReading {
  const draft = newDraft(options);
  const answer = parse(decoder.decode(body));
  if (answer === undefined) return readingOf(draft);
  draft.finished = true;
  const message = objectOf(answer);
  if (message?.['type'] === 'error') takeError(draft, message);
  else if (message !== null) takeWholeMessage(draft, message);
  return readingOf(draft);
}

function newDraft(options: MeterOptions): Draft {
  return {
    options,
    usage: newUsageDraft(),
    started: false,
    finished: false,
    hasFinalUsage: false,
    deliveredBytes: 0,
    hiddenThinkingOpen: false,
    hiddenThinkingClosed: 0,
    estimatedThinkingTokens: 0,
    tools: newToolBlocks(),
    hasContent: false,
    error: null,
    messageId: null,
    model: null,
    stopReason: null,
    heldIds: new Set(),
  };
}

function takeEvent(draft: Draft, { event, data }: SseEvent): void {
  if (event === 'ping') return;
  const parsed = objectOf(parse(data));
  if (event === 'error') return takeError(draft, parsed ?? { error: { message: data } });
  if (parsed === null) return;
  switch (parsed['type']) {
    case 'content_block_delta':
      return takeBlockDelta(draft, objectOf(parsed['delta']));
    case 'content_block_start':
      return takeBlockStart(draft, objectOf(parsed['content_block']));
    case 'content_block_stop':
      return closeBlock(draft);
    case 'message_start':
      return takeMessageStart(draft, objectOf(parsed['message']));
    case 'message_delta':
      return takeMessageDelta(draft, parsed);
    case 'message_stop':
      draft.finished = true;
      return;
    case 'error':
      return takeError(draft, parsed);
  }
}

function takeMessageStart(draft: Draft, message: JsonObject | null): void {
  const isRepeated = draft.started;
  draft.started = true;
  if (message === null) return;
  takeIdentity(draft, message);
  // A start after the closing figures must not put its placeholder in their place.
  if (draft.hasFinalUsage && isRepeated) return;
  const { output } = draft.usage;
  mergeUsage(draft.usage, message['usage']);
  if (draft.hasFinalUsage) draft.usage.output = output;
}

function takeMessageDelta(draft: Draft, event: JsonObject): void {
  takeEnd(draft, objectOf(event['delta']));
  const usage = objectOf(event['usage']);
  // A closing count that cannot be one would leave the placeholder to stand for it.
  const output = usage?.['output_tokens'];
  if (isCount(output)) draft.hasFinalUsage = true;
  // It is cumulative: what was thought before is in it. Nothing is in a count of zero.
  if (isCount(output) && output > 0) draft.hiddenThinkingClosed = 0;
  mergeUsage(draft.usage, usage);
  if (tellsPrompt(draft, usage)) markReported(draft.tools);
}

/** Whether `usage` tells how long the prompt has become, results of tools included. */
function tellsPrompt({ usage: draft }: Draft, usage: JsonObject | null): boolean {
  return isCount(usage?.['input_tokens']) && promptOf(draft) > 0;
}

function closeBlock(draft: Draft): void {
  if (draft.hiddenThinkingOpen) draft.hiddenThinkingClosed += 1;
  draft.hiddenThinkingOpen = false;
}

function takeBlockDelta(draft: Draft, delta: JsonObject | null): void {
  const type = delta?.['type'];
  const field = DELTA_TEXT.get(type);
  if (delta === null || field === undefined) return;
  if (type === 'thinking_delta') takeThinkingEstimate(draft, delta['estimated_tokens']);
  const text = delta[field];
  if (typeof text !== 'string' || text === '') return;
  draft.deliveredBytes += utf8Bytes(text);
  if (type === 'thinking_delta') draft.hiddenThinkingOpen = false;
}

/** With a beta that Claude Code sends, hidden thinking tells increments of a coarse estimate. */
function takeThinkingEstimate(draft: Draft, increment: unknown): void {
  if (typeof increment !== 'number' || !(increment > 0)) return;
  const sum = draft.estimatedThinkingTokens + Math.floor(increment);
  draft.estimatedThinkingTokens = Math.min(sum, COUNT_MAX);
}

function takeBlockStart(draft: Draft, block: JsonObject | null): void {
  // The one before may have been left open.
  closeBlock(draft);
  if (block === null) return;
  const before = draft.deliveredBytes;
  takeBlock(draft, block);
  const isThinking = block['type'] === 'thinking' || block['type'] === 'redacted_thinking';
  draft.hiddenThinkingOpen = isThinking && draft.deliveredBytes === before;
}

function takeWholeMessage(draft: Draft, message: JsonObject): void {
  draft.started = message['type'] === 'message';
  draft.hasFinalUsage = true;
  takeIdentity(draft, message);
  takeEnd(draft, message);
  const content = message['content'];
  for (const item of Array.isArray(content) ? content : []) {
    const block = objectOf(item);
    if (block !== null) takeBlock(draft, block);
  }
  mergeUsage(draft.usage, message['usage']);
  if (tellsPrompt(draft, objectOf(message['usage']))) markReported(draft.tools);
}

/** What a block brings by itself: its text, the model that took over, ids of files it made. */
function takeBlock(draft: Draft, block: JsonObject): void {
  const { type } = block;
  const field = BLOCK_TEXT.get(type);
  const text = field === undefined ? null : block[field];
  if (typeof text === 'string') draft.deliveredBytes += utf8Bytes(text);
  const input = objectOf(block['input']);
  if (input !== null) draft.deliveredBytes += jsonBytes(input);
  if (type === 'fallback') draft.model = textOf(objectOf(block['to'])?.['model']) ?? draft.model;
  if (input === null && field === undefined) holdFiles(draft, block, 0);
  if (type !== 'text' && type !== 'fallback') draft.hasContent = true;
  countToolBlock(draft.tools, textOf(type) ?? '', block['name']);
}

function takeIdentity(draft: Draft, message: JsonObject): void {
  draft.messageId = textOf(message['id']) ?? draft.messageId;
  draft.model = textOf(message['model']) ?? draft.model;
  hold(draft, message['id']);
  hold(draft, objectOf(message['container'])?.['id']);
}

/** The fields that close an answer: in `message_delta.delta`, or in the message itself. */
function takeEnd(draft: Draft, end: JsonObject | null): void {
  if (end === null) return;
  draft.stopReason = textOf(end['stop_reason']) ?? draft.stopReason;
  hold(draft, objectOf(end['container'])?.['id']);
  hold(draft, objectOf(end['stop_details'])?.['fallback_credit_token']);
}

/** The first error stands: what follows it is only its echo. */
function takeError(draft: Draft, body: JsonObject): void {
  const error = objectOf(body['error']);
  draft.error ??= {
    type: textOf(error?.['type'], ERROR_TYPE_LENGTH_MAX) ?? 'api_error',
    message: textOf(error?.['message'], ERROR_MESSAGE_LENGTH_MAX) ?? '',
  };
}

function readingOf(draft: Draft): MeterReading {
  const { usage, deliveredBytes, stopReason } = draft;
  const { askedModel, cacheTtl } = draft.options;
  const servedModel = draft.model ?? askedModel;
  const context = { askedModel, servedModel, cacheTtl, stopReason, deliveredBytes };
  const flags: UsageFlag[] = [...usage.flags];
  const priced = usageOf(usage, context);
  const isMissing = isUsageMissing(draft, priced?.entries ?? []);
  if (isMissing && !flags.includes('usage-missing')) flags.push('usage-missing');
  return {
    started: draft.started,
    finished: draft.finished,
    usage: priced === null ? null : { entries: priced.entries, flags },
    flags,
    deliveredBytes,
    reportedOutputTokens: usage.output ?? 0,
    hiddenThinkingOpen: draft.hiddenThinkingOpen,
    hiddenThinkingClosed: draft.hiddenThinkingClosed,
    estimatedThinkingTokens: draft.estimatedThinkingTokens,
    serverTools: callsOf(draft.tools),
    error: draft.error,
    messageId: draft.messageId,
    model: draft.model,
    stopReason,
    heldIds: [...draft.heldIds],
  };
}

/** Whether an answer that came to its end did not say, or cannot have meant, what it used. */
function isUsageMissing(draft: Draft, entries: readonly UsageEntry[]): boolean {
  const { usage } = draft;
  if (draft.error !== null || !draft.finished) return false;
  if (!draft.hasFinalUsage || usage.input === null || usage.output === null) return true;
  const prompt = promptOf(usage);
  // Its attempts, told one by one, cannot have used nothing either.
  const { output, webSearches: _, ...prompts } = totalCounts({ entries, flags: [] });
  const promptOfAll = Object.values(prompts).reduce((sum, count) => sum + count, 0);
  if (draft.deliveredBytes > 0) return [usage.output, prompt, output, promptOfAll].includes(0);
  // Results of tools and redacted thinking bring no words, and are not made of nothing.
  const isNothing =
    usage.output + prompt === 0 || (entries.length > 0 && output + promptOfAll === 0);
  return draft.hasContent && isNothing;
}

function promptOf({ input, cacheWrites, cacheRead }: UsageDraft): number {
  return (input ?? 0) + (cacheWrites ?? 0) + (cacheRead ?? 0);
}

/** Ids of files that tools of the provider made; what the model hands to a client's tool is not. */
function holdFiles(draft: Draft, value: unknown, depth: number): void {
  if (depth > HELD_ID_DEPTH_MAX) return;
  if (Array.isArray(value)) {
    for (const item of value) holdFiles(draft, item, depth + 1);
    return;
  }
  const object = objectOf(value);
  if (object === null) return;
  for (const [key, field] of Object.entries(object)) {
    if (key === 'file_id') hold(draft, field);
    else if (typeof field === 'object') holdFiles(draft, field, depth + 1);
  }
}

function hold(draft: Draft, id: unknown): void {
  if (typeof id !== 'string' || id === '' || id.length > HELD_ID_LENGTH_MAX) return;
  if (draft.heldIds.size < HELD_IDS_MAX) draft.heldIds.add(id);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Bytes of a tool's input as JSON; 0 for the empty one that streams begin with. */
function jsonBytes(input: JsonObject): number {
  if (Object.keys(input).length === 0) return 0;
  try {
    return utf8Bytes(JSON.stringify(input));
  } catch {
    // Nested beyond what can be written out again.
    return 0;
  }
}

/** UTF-8 length without encoding: deltas are short and many. */
function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code <= 0x7f) continue;
    const isHalfOfPair = code >= 0xd800 && code <= 0xdfff;
    bytes += code <= 0x7ff || isHalfOfPair ? 1 : 2;
  }
  return bytes;
}
