// How accounts stand, for people: what Pool knows, in words. Pool not answering fails no page: then
// nothing is known.

import type { AccountWithState } from '../contract/account-fields';
import type { HeldBack } from '../contract/account-standing';
import type { AccountState, Mark, ResetCall } from '../../domain/health/calls';
import { SECOND_MS } from '../../domain/time';
import { causeOf, log } from '../../observe/log';
import { withinMs } from '../../platform/clock';
import { poolOf } from '../../platform/objects';

/** A page does not wait longer for it. */
const ANSWER_MS = 2 * SECOND_MS;

export type Standing = Pick<AccountWithState, 'state' | 'reasons' | 'load'>;

/** By account id; an account that is not there: nothing is known of it. */
export type Standings = ReadonlyMap<string, Standing>;

const NOT_KNOWN: Standing = { state: null, reasons: [], load: null };

/** What Pool knows of all accounts; empty when it does not answer. Never throws. */
export async function readStandings(env: Env): Promise<Standings> {
  try {
    const states = await withinMs(poolOf(env).states(), ANSWER_MS);
    if (states !== 'late') return new Map(states.map((one) => [one.accountId, standingOf(one)]));
    log('states-unknown', { error: 'late' });
  } catch (error) {
    log('states-unknown', { error: causeOf(error) });
  }
  return new Map();
}

/** Whether Pool has forgotten what held the account back. Never throws. */
export async function resetStanding(env: Env, asked: ResetCall): Promise<boolean> {
  try {
    const done = await withinMs(poolOf(env).reset(asked), ANSWER_MS);
    if (done !== 'late') return true;
    log('reset-failed', { account: asked.accountId, error: 'late' });
  } catch (error) {
    log('reset-failed', { account: asked.accountId, error: causeOf(error) });
  }
  return false;
}

/** How this account stands. */
export function standingIn(standings: Standings, id: string): Standing {
  return standings.get(id) ?? NOT_KNOWN;
}

function standingOf({ state, marks, load }: AccountState): Standing {
  const { inFlight, dayNanos, monthNanos } = load;
  return {
    state,
    reasons: marks.toSorted(byWeight).map(toldOf),
    load: { inFlight, dayNanos, monthNanos },
  };
}

/** The whole of an account before a part of it, what lasts longest first. */
function byWeight(one: Mark, other: Mark): number {
  const weight = ({ subject, until }: Mark) =>
    [subject.of === 'account' ? 1 : 0, until ?? Number.MAX_SAFE_INTEGER] as const;
  const [[ofWhole, until], [otherOfWhole, otherUntil]] = [weight(one), weight(other)];
  return otherOfWhole - ofWhole || otherUntil - until;
}

function toldOf({ subject, state, reason, since, until }: Mark): HeldBack {
  return {
    state,
    reason: REASONS[reason] ?? reason.replaceAll('-', ' '),
    failure: reason,
    of: subject.of,
    subject: partOf(subject),
    since,
    until,
  };
}

function partOf(subject: Mark['subject']): string | null {
  switch (subject.of) {
    case 'account':
      return null;
    case 'family':
      return subject.family;
    case 'model':
      return subject.model;
    case 'provider':
      return `${subject.provider}, ${subject.model}`;
    case 'colo':
      return subject.colo;
  }
}

/** By the failure's name (domain/scheduling/failure.ts). */
export const REASONS: Readonly<Record<string, string>> = {
  unreachable: 'It could not be reached.',
  timeout: 'It sent no headers in time.',
  'broke-off': 'It broke off before its first event.',
  unreadable: 'It sent something that is no answer of this API.',
  'token-unreachable': 'Where its access token comes from could not be reached.',
  redirect: 'It answered with a redirect, which is never followed. Check its base URL.',
  credential: 'Its credential cannot be opened or used. Put it again.',
  'token-refused': 'Its credential was refused where its access token comes from.',
  address: 'Its address is not one that may be called.',
  unauthenticated: 'It refused the credential (401).',
  unpaid: 'It wants to be paid first (402).',
  'on-hold': 'Its organization is on hold.',
  'spend-limit': 'Its spend limit at the provider is reached; it comes back with the month.',
  'wrong-place': 'The provider does not serve the data centre that the call left from.',
  'not-permitted': 'It may not use this model (403).',
  'no-such-model': 'It does not have this model (404).',
  throttled: 'It said to wait (429).',
  overloaded: 'The provider is overloaded (529).',
  'gateway-timeout': 'It ran out of time itself (504).',
  failed: 'It failed on its side (5xx).',
};
