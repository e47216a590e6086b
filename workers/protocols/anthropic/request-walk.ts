// Finds, in any part of a Messages body, what counts wherever it stands: ids of things that the
// provider holds, cache lifetimes, inline media, server tools. Values that the client's own tools
// define (tool inputs, schemas, examples) are skipped whole: a `file_id` in there is the client's
// word, not the provider's. It judges nothing and refuses nothing but an endless list of ids.

import type { RequestSizes } from '../../domain/ledger/calls';
import type { ByteRange, JsonCursor } from '../json-cursor';
import type { HeldId } from '../protocol';

/** More ids than this in one body are refused: each must be looked up. */
const HELD_IDS_MAX = 100;
/** Ids and tokens longer than this, as written, are refused. */
const HELD_ID_BYTES_MAX = 4_096;
/** What a server tool may be called when it sets no `max_uses`. */
const SERVER_TOOL_USES_DEFAULT = 5;
const SERVER_TOOL_USES_MAX = 1_000_000;
/** What one use counts for (ledger.md §4, U). */
const USE_TOKENS = 10_000;
/** What somebody else's page or server sends, whole: no vendor names a limit, this is a book. */
const FETCHED_TOKENS = 100_000;
/** More other models than this in one body are refused. */
const MODELS_MAX = 20;
/** More types of tools than this in one body are refused; vendors have a few dozen. */
const TOOL_TYPES_MAX = 100;
const WORD_BYTES_MAX = 256;

const SMALL_MEDIA_BYTES = 64 * 1_024;
const MEDIUM_MEDIA_BYTES = 1_024 * 1_024;

/**
 * Tools that the provider runs and whose results are read as input, by the start of their dated
 * type. Tool search is not here: what it loads are definitions, whose text is in the body already.
 */
const SERVER_TOOL = /^(?:web_search|web_fetch|code_execution|advisor)_\d|^mcp_toolset$/;
const FETCH_TOOL = /^web_fetch_\d|^mcp_toolset$/;

/** What the walk gathers. Text ranges are gathered only while `texts` is a list. */
export interface Findings {
  readonly heldIds: HeldId[];
  readonly models: string[];
  readonly toolTypes: string[];
  cacheTtl: RequestSizes['cacheTtl'];
  serverToolUses: number;
  readonly media: { small: number; medium: number; large: number };
  /** Bytes of base64 data, as written. */
  mediaBytes: number;
  texts: ByteRange[] | null;
  /** The first thing wrong with the body, in words for the client. */
  problem: string | null;
}

/** Keys that the walk must hear by name. */
export const WALKED_KEYS = [
  'cache_control',
  'caching',
  'content',
  'data',
  'definition',
  'file_id',
  'input',
  'input_examples',
  'input_schema',
  'max_content_tokens',
  'max_uses',
  'media_type',
  'model',
  'schema',
  'source',
  'text',
  'ttl',
  'type',
] as const;

/** Nothing found yet. */
export function noFindings(): Findings {
  return {
    heldIds: [],
    models: [],
    toolTypes: [],
    cacheTtl: 'none',
    serverToolUses: 0,
    media: { small: 0, medium: 0, large: 0 },
    mediaBytes: 0,
    texts: null,
    problem: null,
  };
}

/** Walks one value of any shape. */
export function walkValue(cursor: JsonCursor, findings: Findings): void {
  if (cursor.enterObject()) {
    for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
      walkField(key, cursor, findings);
    }
  } else if (cursor.enterArray()) {
    while (cursor.nextElement()) walkValue(cursor, findings);
  } else {
    cursor.skip();
  }
}

/** Walks the value of `key` in an object that has no reader of its own. */
export function walkField(key: string, cursor: JsonCursor, findings: Findings): void {
  switch (key) {
    case 'file_id':
      readHeldId('file_id', cursor, findings);
      return;
    case 'cache_control':
    case 'caching':
      return readCacheControl(cursor, findings);
    case 'source':
      return readSource(cursor, findings);
    case 'definition':
      return readTool(cursor, findings);
    case 'text':
      return readText(cursor, findings);
    case 'input':
    case 'input_examples':
    case 'input_schema':
    case 'schema':
      return cursor.skip();
    default:
      return walkValue(cursor, findings);
  }
}

/** Notes a string as an id that the provider holds and answers it; other values are walked. */
export function readHeldId(field: string, cursor: JsonCursor, findings: Findings): string | null {
  if (cursor.kind() !== 'string') {
    walkValue(cursor, findings);
    return null;
  }
  const id = cursor.readString(HELD_ID_BYTES_MAX);
  if (id === null) findings.problem ??= `${field}: String is too long`;
  else holdId({ field, id }, findings);
  return id;
}

/** Keeps an id once. One more than the bound is a problem: none may go unchecked. */
export function holdId(held: HeldId, findings: Findings): void {
  // A body that is refused anyway must not cost a comparison for each of a million ids.
  if (held.id === '' || findings.problem !== null) return;
  if (findings.heldIds.some((other) => other.id === held.id)) return;
  if (findings.heldIds.length < HELD_IDS_MAX) findings.heldIds.push(held);
  else findings.problem ??= `${held.field}: at most ${HELD_IDS_MAX} different ids in one request`;
}

/** `{type, ttl?}`: an unknown lifetime counts as the dearest one known. */
export function readCacheControl(cursor: JsonCursor, findings: Findings): void {
  if (!cursor.enterObject()) return walkValue(cursor, findings);
  if (findings.cacheTtl === 'none') findings.cacheTtl = '5m';
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (key !== 'ttl' || cursor.kind() !== 'string') walkValue(cursor, findings);
    else if (cursor.readString(WORD_BYTES_MAX) !== '5m') findings.cacheTtl = '1h';
  }
}

/** An entry of `tools`, or a tool defined in the conversation. */
export function readTool(cursor: JsonCursor, findings: Findings): void {
  if (!cursor.enterObject()) return walkValue(cursor, findings);
  let isServerTool = false;
  let isFetch = false;
  let uses: number | null = null;
  let contentTokens: number | null = null;
  const models: string[] = [];
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (key === 'type') {
      const type = cursor.readString(WORD_BYTES_MAX) ?? '';
      addToolType(type, findings);
      isServerTool ||= SERVER_TOOL.test(type);
      isFetch ||= FETCH_TOOL.test(type);
    } else if (key === 'max_uses' && cursor.kind() === 'number') {
      uses = Math.max(uses ?? 0, Math.ceil(cursor.readNumber() ?? 0), 0);
    } else if (key === 'max_content_tokens' && cursor.kind() === 'number') {
      contentTokens = Math.max(contentTokens ?? 0, cursor.readNumber() ?? 0);
    } else if (key === 'model' && cursor.kind() === 'string') {
      models.push(cursor.readString(WORD_BYTES_MAX) ?? '');
    } else {
      walkField(key, cursor, findings);
    }
  }
  if (!isServerTool) return;
  const eachTokens = isFetch ? (contentTokens ?? FETCHED_TOKENS) : USE_TOKENS;
  const each = Math.max(1, Math.ceil(eachTokens / USE_TOKENS));
  const more = Math.min((uses ?? SERVER_TOOL_USES_DEFAULT) * each, SERVER_TOOL_USES_MAX);
  findings.serverToolUses = Math.min(findings.serverToolUses + more, SERVER_TOOL_USES_MAX);
  // An advisor answers at its own model's price, like a fallback.
  for (const model of models) addModel(model, findings);
}

function addToolType(type: string, findings: Findings): void {
  const { toolTypes } = findings;
  if (type === '' || toolTypes.includes(type)) return;
  if (toolTypes.length < TOOL_TYPES_MAX) toolTypes.push(type);
  else findings.problem ??= `tools: at most ${TOOL_TYPES_MAX} different types in one request`;
}

/** Another model that the request allows. */
export function addModel(model: string, findings: Findings): void {
  if (model === '' || findings.models.includes(model)) return;
  if (findings.models.length < MODELS_MAX) findings.models.push(model);
  else findings.problem ??= `fallbacks: at most ${MODELS_MAX} different models in one request`;
}

/**
 * The source of an image or a document. Base64 data is not counted as text: an image counts by its
 * decoded size, anything else as large, since ten kilobytes can be a hundred pages. What lies at a
 * URL or in a file has an unknown size and counts as large; anything else is text.
 */
function readSource(cursor: JsonCursor, findings: Findings): void {
  if (!cursor.enterObject()) return walkValue(cursor, findings);
  const types: (string | null)[] = [];
  let dataBytes = 0;
  let isImage = true;
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (key === 'type') {
      types.push(cursor.readString(WORD_BYTES_MAX));
    } else if (key === 'media_type') {
      // Of two, both must name an image.
      if (!cursor.readString(WORD_BYTES_MAX)?.startsWith('image/')) isImage = false;
    } else if (key === 'data' && cursor.kind() === 'string') {
      const range = cursor.readRange();
      if (range !== null) dataBytes += range[1] - range[0];
    } else {
      walkField(key, cursor, findings);
    }
  }
  const { media } = findings;
  if (types.some((type) => type === 'url' || type === 'file')) media.large += 1;
  // Every `type` must say base64, should a hostile body give two.
  if (types.length === 0 || types.some((type) => type !== 'base64')) return;
  findings.mediaBytes += dataBytes;
  const bytes = Math.floor((dataBytes * 3) / 4);
  if (!isImage || bytes > MEDIUM_MEDIA_BYTES) media.large += 1;
  else if (bytes > SMALL_MEDIA_BYTES) media.medium += 1;
  else media.small += 1;
}

function readText(cursor: JsonCursor, findings: Findings): void {
  const range = cursor.readRange();
  if (range === null) walkValue(cursor, findings);
  else findings.texts?.push(range);
}
