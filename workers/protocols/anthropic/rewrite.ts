// Edits the top level of a JSON body and leaves every other byte as it came: order, white space,
// numbers, escapes, everything inside. A body is never parsed and written anew, because what a
// prompt cache compares is its exact bytes. It knows no field; which to edit is the caller's word.

import type { Result } from '../../domain/result';
import { fail, ok } from '../../domain/result';
import { JsonCursor, knownKeys } from '../json-cursor';

/** What is to become of a body's own members; names are ASCII. */
export interface BodyEdit {
  /** New values of members that must stand in the body exactly once. */
  readonly replace?: Readonly<Record<string, unknown>>;
  /** Members that go, however often they stand there. */
  readonly remove?: readonly string[];
  /** Members put at the end; the body's own of that name go. */
  readonly add?: Readonly<Record<string, unknown>>;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const encoder = new TextEncoder();

/**
 * `body` with `edit` made, in memory of its own; or why that cannot be. Where a member that is to
 * be replaced stands twice, parsers differ in which they take: that is refused.
 */
export function rewriteBody(
  body: Uint8Array,
  edit: BodyEdit,
): Result<Uint8Array<ArrayBuffer>, string> {
  const { replace = {}, add = {} } = edit;
  const gone = new Set([...(edit.remove ?? []), ...Object.keys(add)]);
  const cursor = new JsonCursor(body, knownKeys([...new Set([...Object.keys(replace), ...gone])]));
  const start = cursor.position;
  if (!cursor.enterObject()) return fail('the body is no JSON object');
  const replaced = new Map<string, number>();
  const members: Uint8Array[] = [];
  let end = start + 1;
  for (let key = cursor.nextKey(); key !== null; key = cursor.nextKey()) {
    const from = end;
    const valueAt = cursor.position;
    cursor.skip();
    end = cursor.position;
    if (gone.has(key)) continue;
    const isFirst = members.length === 0;
    const member = body.subarray(isFirst ? afterComma(body, from) : from, end);
    if (!Object.hasOwn(replace, key)) {
      members.push(member);
      continue;
    }
    replaced.set(key, (replaced.get(key) ?? 0) + 1);
    members.push(member.subarray(0, member.length - (end - valueAt)), written(replace[key]));
  }
  if (!cursor.finish()) return fail(cursor.problem?.message ?? 'the body is not valid JSON');
  for (const key of Object.keys(replace)) {
    if (replaced.get(key) !== 1) return fail(`${key}: must be given exactly once`);
  }
  const added = addition(add, members.length > 0);
  return ok(joined([body.subarray(0, start + 1), ...members, added, body.subarray(end)]));
}

/** `from` is where the member before it ended, or the inside of the object begins. */
function afterComma(body: Uint8Array, from: number): number {
  let at = from;
  // Nothing but white space stands between two members beside the comma.
  while (at < body.length && body[at] !== COMMA && body[at] !== QUOTE) at += 1;
  return body[at] === COMMA ? at + 1 : from;
}

function addition(add: Readonly<Record<string, unknown>>, follows: boolean): Uint8Array {
  const members = Object.entries(add).map(
    ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`,
  );
  if (members.length === 0) return new Uint8Array(0);
  return encoder.encode((follows ? ',' : '') + members.join(','));
}

function written(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
