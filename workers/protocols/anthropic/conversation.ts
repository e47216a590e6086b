// What ties the requests of one conversation together, found in the body (the header that names a
// session is the caller's business). It only points: hashing and keying happen where chance and
// secrets live. Text alone is pointed at, because clients move cache marks between turns and send
// the same text once as a string and once as blocks.

import type { ByteRange, JsonCursor } from '../json-cursor';
import type { ConversationSource } from '../protocol';

/** Claude Code's first system block: names its version, which changes within a conversation. */
const ATTRIBUTION = 'x-anthropic-billing-header:';

const USER_ID_BYTES_MAX = 4_096;
const SESSION_LENGTH_MAX = 256;
/** So much of the system text, and so much of the first user message, tells conversations apart. */
const PREFIX_BYTES_MAX = 64 * 1_024;

/** `user_<64 hex>_account_<uuid or empty>_session_<uuid>`: older versions of Claude Code. */
const OLDER_USER_ID = /^user_[0-9a-f]{64}_account_[0-9a-f-]*_session_([0-9a-f-]{36})$/i;

/** Reads `metadata`; the session id inside `user_id`, or null. The rest is the client's own. */
export function readMetadata(cursor: JsonCursor): string | null {
  if (!cursor.enterObject()) {
    cursor.skip();
    return null;
  }
  let session: string | null = null;
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    if (key !== 'user_id' || cursor.kind() !== 'string') cursor.skip();
    else session = sessionOf(cursor.readString(USER_ID_BYTES_MAX) ?? '');
  }
  return session;
}

/** The session id in a `metadata.user_id`, in either of Claude Code's two forms; else null. */
function sessionOf(userId: string): string | null {
  if (!userId.startsWith('{')) return OLDER_USER_ID.exec(userId)?.[1] ?? null;
  try {
    const parsed: unknown = JSON.parse(userId);
    if (typeof parsed !== 'object' || parsed === null || !('session_id' in parsed)) return null;
    const session = parsed.session_id;
    if (typeof session !== 'string' || session === '') return null;
    return session.length <= SESSION_LENGTH_MAX ? session : null;
  } catch {
    return null;
  }
}

/** The best of what a body offers. */
export function conversationOf(found: {
  readonly session: string | null;
  readonly thread: string | null;
  readonly system: readonly ByteRange[];
  readonly firstUser: readonly ByteRange[];
}): ConversationSource {
  if (found.session !== null) return { kind: 'session', value: found.session };
  if (found.thread !== null) return { kind: 'thread', value: found.thread };
  const ranges = [...cut(found.system), ...cut(found.firstUser)];
  return { kind: 'prefix', ranges };
}

/** Whether this text is the attribution block. */
export function isAttribution(body: Uint8Array, range: ByteRange): boolean {
  if (range[1] - range[0] < ATTRIBUTION.length) return false;
  for (let index = 0; index < ATTRIBUTION.length; index += 1) {
    if (body[range[0] + index] !== ATTRIBUTION.charCodeAt(index)) return false;
  }
  return true;
}

function cut(ranges: readonly ByteRange[]): ByteRange[] {
  const kept: ByteRange[] = [];
  let left = PREFIX_BYTES_MAX;
  for (const [start, end] of ranges) {
    if (left <= 0) break;
    const stop = Math.min(end, start + left);
    if (stop > start) kept.push([start, stop]);
    left -= stop - start;
  }
  return kept;
}
