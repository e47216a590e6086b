// Step 3, schedule: the accounts that may serve this conversation, best first, as they stand now.
// The conversation is known by a tag alone: the same at every edge, and no one can read the session
// id back out of it. Rules are in domain/scheduling; here is what they ask for.

import type { RelayError } from '../domain/errors';
import { priceAsked } from '../domain/pricing/find';
import type { Circumstances } from '../domain/scheduling/attempts';
import { COOLDOWN_WAIT_MS } from '../domain/scheduling/attempts';
import type { Absence, Asked, Candidate, Choice } from '../domain/scheduling/choose';
import { choose } from '../domain/scheduling/choose';
import { egressAllowed, egressShardOf } from '../domain/scheduling/egress';
import type { AccountKind, Snapshot, SnapshotAccount } from '../domain/snapshot';
import { SECOND_MS } from '../domain/time';
import { base64url } from '../platform/base64';
import { concatBytes } from '../platform/bytes';
import { hmacSha256 } from '../platform/digest';
import type { Via } from '../platform/egress';
import { refusalOf } from '../upstreams/capabilities';
import { upstreamOf } from '../upstreams/registry';
import { healthView } from './health';
import type { Bearer, Journey, ReadBody, Visit } from './journey';
import { renewedSnapshot } from './snapshot';

const TAG_BYTES = 8;
/** A prompt's beginning tells conversations apart; a megabyte more would only cost time. */
const PIECE_BYTES_MAX = 8_192;
/** Where nothing says when an account is back. */
const TRY_AGAIN_MS = 5 * SECOND_MS;
const TRY_AGAIN_MS_MAX = 60 * SECOND_MS;
const encoder = new TextEncoder();

/** The accounts of one request, as often as they are asked for. */
export interface Scheduling {
  /** As they stand now. */
  choice(): Promise<Choice>;
}

/** Accounts for `journey`; sub-agents follow their session's account. */
export function scheduling(journey: Journey, conversation: string): Scheduling {
  let { snapshot } = journey;
  let isRenewed = false;
  const now = (): Choice => {
    const at = Date.now();
    const view = healthView(at);
    const views = { ...view, refusalOf: refusalFor(journey) };
    return choose(snapshot.accounts, askedOf(journey, { conversation, snapshot, at }), views);
  };
  return {
    choice: async () => {
      const choice = now();
      if (choice.candidates.length > 0 || isRenewed) return choice;
      // Before somebody is sent away: an account may just have been added.
      isRenewed = true;
      snapshot = await renewedSnapshot(journey, snapshot);
      return now();
    },
  };
}

/** What of the request an account's kind cannot take; asked for once a kind. */
function refusalFor(journey: Journey): (account: SnapshotAccount) => string | null {
  const { operation, request, body } = journey;
  const { fields = [], toolTypes = [] } = body?.essentials ?? {};
  const betas = (request.headers.get('anthropic-beta') ?? '').split(',').map((one) => one.trim());
  const known = new Map<AccountKind, string | null>();
  return ({ kind }) => {
    const found = known.get(kind);
    if (found !== undefined) return found;
    const isOffered = operation !== 'count_tokens' || upstreamOf(kind).operations.has(operation);
    const refusal = refusalOf(kind, { betas, fields, toolTypes });
    const why = isOffered ? (refusal?.why ?? null) : COUNTS_NOTHING;
    known.set(kind, why);
    return why;
  };
}

/** Of a kind that cannot count tokens: another one does, or the relay estimates (count.ts). */
export const COUNTS_NOTHING = 'count_tokens: not offered by this upstream';

function askedOf(
  journey: Journey,
  given: { readonly conversation: string; readonly snapshot: Snapshot; readonly at: number },
): Asked {
  const { lease } = journey;
  const { conversation, at } = given;
  const model = lease.model;
  return {
    tag: conversation,
    model,
    family: model === null ? null : familyOf(journey).family,
    groups: lease.groups ?? [],
    warm: warmOf(journey, at),
    owner: lease.owner ?? null,
    colo: coloOf(journey),
    now: at,
  };
}

function warmOf({ lease }: Journey, now: number): Asked['warm'] {
  const { warm } = lease;
  return warm !== undefined && now < warm.until ? warm.accountId : null;
}

/** Where this isolate runs; null: not known. */
export function coloOf({ request }: Pick<Visit, 'request'>): string | null {
  const colo = request.cf?.colo;
  return typeof colo === 'string' ? colo : null;
}

function countryOf({ request }: Pick<Visit, 'request'>): string | null {
  const country = request.cf?.country;
  return typeof country === 'string' ? country : null;
}

/** The model and its family, as breakers and tallies name them; '' where none is named. */
export function familyOf({ lease, snapshot }: Journey): {
  readonly family: string;
  readonly model: string;
} {
  const { model, price, admittedAt } = lease;
  if (model === null) return { family: '', model: '' };
  const row = price ?? priceAsked(snapshot.catalogue, model, admittedAt);
  return { family: row?.family ?? model, model };
}

/** What the next step depends on besides the accounts. */
export function circumstancesOf(journey: Journey): Circumstances {
  const now = Date.now();
  // Where nothing is cached, nothing is lost by moving.
  const isWorthIt = journey.lease.warm?.cachedTokens !== 0;
  return {
    now,
    random: Math.random(),
    warm: isWorthIt ? warmOf(journey, now) : null,
    waitMsMax: Math.min(COOLDOWN_WAIT_MS, journey.lease.waitsForCacheMs ?? COOLDOWN_WAIT_MS),
    canLeaveElsewhere: canLeaveElsewhere(journey),
  };
}

function canLeaveElsewhere(journey: Journey): boolean {
  return egressAllowed(countryOf(journey), journey.snapshot.settings);
}

/** Through which region a call leaves; null: from here. */
export function placeOf(journey: Journey, { account, isElsewhere }: Candidate): Via | null {
  if (account.egress === null && !isElsewhere) return null;
  if (!canLeaveElsewhere(journey)) return null;
  const region = account.egress ?? journey.snapshot.settings?.egressRegion;
  if (region === undefined) return null;
  const refusedColo = isElsewhere ? (coloOf(journey) ?? '') : '';
  return { env: journey.env, region, shard: egressShardOf(journey.requestId), refusedColo };
}

/** Why no account was called at all, with an honest wait. */
export function noAccountFor({ lease }: Journey, choice: Choice | null): RelayError {
  const { candidates = [], absent = [] } = choice ?? {};
  if (candidates.length === 0) {
    const refusal = refusalBy(
      lease,
      absent.map(({ why }) => why),
    );
    if (refusal !== null) return refusal;
  }
  const waitMs = soonestMs(choice, Date.now()) ?? TRY_AGAIN_MS;
  return { kind: 'no-upstream', retryAfterMs: Math.min(waitMs, TRY_AGAIN_MS_MAX) };
}

/** What no waiting changes; null: there is no such thing, or an account may be free again soon. */
function refusalBy(
  { owner, model }: Journey['lease'],
  whys: readonly Absence[],
): RelayError | null {
  const [cannot] = whys.flatMap((why) => (typeof why === 'object' ? [why.cannot] : []));
  const isBusy = whys.some((why) => why === 'hours' || why === 'cap' || why === 'concurrency');
  // Who only wants to know a number is told an estimate at once.
  if (isBusy && cannot !== COUNTS_NOTHING) return null;
  if (cannot !== undefined) return { kind: 'bad-request', message: cannot };
  if (owner !== undefined) return { kind: 'held-elsewhere', field: 'body' };
  const isServed = whys.some((why) => why !== 'model' && why !== 'status');
  const isUnknown = !isServed && whys.includes('model') && model !== null;
  return isUnknown ? { kind: 'unknown-model', model } : null;
}

/** When the first of the accounts that a request can have is back; null: nobody knows. */
export function soonestMs(choice: Choice | null, now: number): number | null {
  const waits = (choice?.candidates ?? []).flatMap(({ until }) =>
    until === null ? [] : [until - now],
  );
  return waits.length === 0 ? null : Math.max(SECOND_MS, Math.min(...waits));
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
