// Accounts, views of their health and what is asked of them, as small as tests of choosing need.

import type { Load, Mark } from '../../workers/domain/health/calls';
import { subjectName } from '../../workers/domain/health/calls';
import type { AccountId } from '../../workers/domain/ids';
import { newId } from '../../workers/domain/ids';
import { ZERO_NANOS } from '../../workers/domain/money';
import type { Asked, Candidate, Views } from '../../workers/domain/scheduling/choose';
import type { SnapshotAccount } from '../../workers/domain/snapshot';
import { ACCOUNT_DEFAULTS, providerOf } from '../../workers/domain/snapshot';

/** 24 November 2026 is a Tuesday. */
export const NOW = Date.UTC(2026, 10, 24, 12);
export const MODEL = 'claude-opus-5-5';

export function accountId(n: number): AccountId {
  return newId('account', n, new Uint8Array(10));
}

/** Number `n`, on which nothing is set but what is given. */
export function account(n: number, given: Partial<SnapshotAccount> = {}): SnapshotAccount {
  return {
    ...ACCOUNT_DEFAULTS,
    id: accountId(n),
    name: `account ${n}`,
    kind: 'anthropic',
    baseUrl: 'https://api.anthropic.com',
    credential: { keyVersion: '1', iv: '', ciphertext: '' },
    ...given,
  };
}

/** At a provider of its own. */
export function elsewhereHosted(n: number, host: string): SnapshotAccount {
  return account(n, { kind: 'anthropic-compatible', baseUrl: `https://${host}` });
}

export function asked(given: Partial<Asked> = {}): Asked {
  return {
    tag: 'conversation',
    model: MODEL,
    family: 'opus',
    groups: [],
    warm: null,
    owner: null,
    colo: 'FRA',
    now: NOW,
    ...given,
  };
}

const NO_LOAD: Load = { inFlight: 0, dayNanos: ZERO_NANOS, monthNanos: ZERO_NANOS };

export interface Seen {
  readonly marks?: readonly Mark[];
  readonly loads?: ReadonlyMap<AccountId, Partial<Load>>;
  /** What these cannot take. */
  readonly refusals?: ReadonlyMap<AccountId, string>;
}

/** Views of exactly that. */
export function viewsOf({ marks = [], loads, refusals }: Seen = {}): Views {
  const byName = new Map(marks.map((mark) => [subjectName(mark.subject), mark]));
  return {
    markOf: (subject) => byName.get(subjectName(subject)) ?? null,
    loadOf: (id) => ({ ...NO_LOAD, ...loads?.get(id) }),
    refusalOf: ({ id }) => refusals?.get(id) ?? null,
  };
}

/** `state` of the account as a whole, until then. */
export function markOn(id: AccountId, state: Mark['state'], until: number | null): Mark {
  return { subject: { of: 'account', accountId: id }, state, reason: 'test', since: NOW, until };
}

/** An account as a choice hands it over. */
export function candidate(of: SnapshotAccount, given: Partial<Candidate> = {}): Candidate {
  const plain = { standing: 'ready', until: null, held: [], isElsewhere: false } as const;
  return { account: of, provider: providerOf(of), ...plain, ...given };
}
