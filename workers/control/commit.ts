// Making a change: the audit line, the kept answer for repeats, the statements and their outbox
// rows in one batch (store/commit.ts), then the push, so that the very next request knows.

import type { Endpoint } from './contract/endpoint';
import { pushNow } from './push';
import type { Refused } from './refusals';
import { refused } from './refusals';
import { answerAgain } from './repeat';
import type { Acting, Outcome, Reply } from './visit';
import type { RelayError } from '../domain/errors';
import type { AuditId, WalletId } from '../domain/ids';
import { ID_RANDOM_BYTES, newId } from '../domain/ids';
import { ok } from '../domain/result';
import { randomBytes } from '../platform/random';
import type { AuditLine } from '../store/audit';
import { commitChange } from '../store/commit';
import type { Condition, Database, Part } from '../store/db';
import { isKeyTaken } from '../store/idempotency';

export interface ChangeOf<E extends Endpoint> {
  /** What is changed, and how it was and will be; secrets left out. */
  readonly audit: {
    readonly targetId: string;
    readonly before?: unknown;
    readonly after?: unknown;
    /** In place of the endpoint's name, where one endpoint does several things. */
    readonly action?: string;
    /** Where nobody is logged in: who it is about. */
    readonly actorId?: string;
  };
  /** The change is made only while this holds. */
  readonly only?: Condition | ((db: Database) => Condition);
  /** What is answered when it does not. */
  readonly otherwise?: RelayError | Refused;
  readonly parts: (db: Database, when: Condition) => readonly Part[];
  /** Whose Ledger objects, and whether Pool, have something in the outbox now. */
  readonly push?: { readonly wallets?: readonly WalletId[]; readonly pool?: boolean };
  readonly reply: Exclude<Reply<E>, Response>;
  /** What a repeated call gets: the same without secrets. Absent: the same. */
  readonly again?: Exclude<Reply<E>, Response>['body'];
}

/**
 * Makes the change and answers it. A repeated call (same Idempotency-Key) that runs at the same
 * time gets the first one's answer. Throws as D1 does, also when a unique value is taken.
 */
export async function commit<E extends Endpoint>(
  visit: Acting<E>,
  change: ChangeOf<E>,
): Promise<Outcome<E>> {
  const { only, parts, push = {}, reply, otherwise } = change;
  const call = visit.repeatable;
  const status = reply.status ?? visit.endpoint.status ?? 200;
  const answer = JSON.stringify(change.again ?? reply.body ?? null);
  try {
    const done = await commitChange(visit.env.DB, {
      line: lineOf(visit, change.audit),
      ...(only === undefined ? {} : { only }),
      parts,
      repeat: call === null ? null : { call, kept: { status, answer } },
      now: visit.now,
    });
    if (!done) {
      return otherwise === undefined ? refused('not-valid') : { ok: false, error: otherwise };
    }
  } catch (error) {
    if (call === null || !isKeyTaken(error)) throw error;
    // The other call's answer is the same bytes that this endpoint's contract describes.
    return (await answerAgain(visit, call)) as Outcome<E>;
  }
  await pushNow(visit.env, push);
  return ok(reply);
}

/** The line of a change of this call. */
export function lineOf<E extends Endpoint>(
  { actor, endpoint, address, requestId, now }: Acting<E>,
  { targetId, before, after, action, actorId }: ChangeOf<E>['audit'],
): AuditLine {
  const id: AuditId = newId('audit', now, randomBytes(ID_RANDOM_BYTES));
  return {
    id,
    at: now,
    actorId: actorId ?? actor?.id ?? 'nobody',
    sessionId: actor?.kind === 'person' ? actor.sessionId : null,
    address,
    action: action ?? endpoint.name,
    targetId,
    before: before ?? null,
    after: after ?? null,
    requestId,
  };
}
