// Accounts, reports and marks for tests of their health, each the same as the last but for what the
// test says of it.

import type { Mark, Report, Subject, Tally } from '../../workers/domain/health/calls';
import type { AccountId } from '../../workers/domain/ids';
import { ZERO_NANOS } from '../../workers/domain/money';
import type { SnapshotAccount } from '../../workers/domain/snapshot';
import { ACCOUNT_DEFAULTS } from '../../workers/domain/snapshot';
import { NOW } from './ledger';

export const ONE: AccountId = 'acc_one';
export const TWO: AccountId = 'acc_two';

/** The account itself, its one family, its one model, and its provider's. */
export const SUBJECTS = {
  account: { of: 'account', accountId: ONE },
  family: { of: 'family', accountId: ONE, family: 'opus' },
  model: { of: 'model', accountId: ONE, model: 'claude-opus-5-5' },
  provider: { of: 'provider', provider: 'anthropic', model: 'claude-opus-5-5' },
  colo: { of: 'colo', accountId: ONE, colo: 'HKG' },
} as const satisfies Record<Subject['of'], Subject>;

/** An account of the provider `anthropic` without any limit. */
export function accountFor(id: AccountId, differs: Partial<SnapshotAccount> = {}): SnapshotAccount {
  const baseUrl = 'https://api.anthropic.com';
  const credential = { keyVersion: '1', iv: '', ciphertext: '' };
  return { ...ACCOUNT_DEFAULTS, id, name: id, kind: 'anthropic', baseUrl, credential, ...differs };
}

/** Account ONE with opus: nothing called. */
export function tallyOf(differs: Partial<Tally> = {}): Tally {
  return {
    accountId: ONE,
    provider: 'anthropic',
    family: 'opus',
    model: 'claude-opus-5-5',
    successes: 0,
    failures: 0,
    overloads: 0,
    costNanos: ZERO_NANOS,
    absorbedNanos: ZERO_NANOS,
    ...differs,
  };
}

/** A report that says nothing. */
export function reportOf(n: number, differs: Partial<Report> = {}): Report {
  const nothing = { tallies: [], marks: [], probes: [], inFlight: {}, healthVersion: null };
  return { isolate: 'isolate-1', n, ...nothing, ...differs };
}

/** ONE is out from NOW on, until somebody says otherwise. */
export function markOf(differs: Partial<Mark> = {}): Mark {
  const out = { state: 'out', reason: 'unauthenticated', since: NOW, until: null } as const;
  return { subject: SUBJECTS.account, ...out, ...differs };
}
