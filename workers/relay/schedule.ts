// Step 3, schedule: the snapshot's accounts, ranked for this conversation. The conversation is
// known by a tag alone: the same at every edge, and no one can read the session id back out of
// it.

import { rankAccounts } from '../domain/scheduling/rank';
import type { SnapshotAccount } from '../domain/snapshot';
import { base64url } from '../platform/base64';
import { concatBytes } from '../platform/bytes';
import { hmacSha256 } from '../platform/digest';
import type { Bearer, Journey, ReadBody, Visit } from './journey';

const TAG_BYTES = 8;
/** A prompt's beginning tells conversations apart; a megabyte more would only cost time. */
const PIECE_BYTES_MAX = 8_192;
const encoder = new TextEncoder();

/** Accounts that can serve the journey, best first; sub-agents follow their session's account. */
export function schedule(journey: Journey, conversation: string): readonly SnapshotAccount[] {
  return rankAccounts(journey.snapshot.accounts, { tag: conversation, model: journey.lease.model });
}

/** The conversation's tag (reference: wire facts §7): session header, body's session, prefix. */
export async function conversationTag(
  visit: Visit,
  bearer: Bearer,
  body: ReadBody | null,
): Promise<string> {
  const { walletId, keyId } = bearer.parts;
  const digest = await hmacSha256(
    visit.config.conversationSecret,
    concatBytes([encoder.encode(`${walletId}\n`), valueOf(visit, keyId, body)]),
  );
  return base64url(digest.subarray(0, TAG_BYTES));
}

function valueOf(visit: Visit, keyId: string, body: ReadBody | null): Uint8Array {
  const session = visit.request.headers.get('x-claude-code-session-id');
  if (session !== null) return encoder.encode(`session\n${session}`);
  const conversation = body?.essentials.conversation;
  if (body === null || conversation === undefined) return encoder.encode(`key\n${keyId}`);
  if (conversation.kind !== 'prefix') {
    return encoder.encode(`${conversation.kind}\n${conversation.value}`);
  }
  const pieces = conversation.ranges.map(([start, end]) =>
    body.plain.subarray(start, Math.min(end, start + PIECE_BYTES_MAX)),
  );
  return concatBytes([encoder.encode(`prefix\n${keyId}\n${body.essentials.model}\n`), ...pieces]);
}
