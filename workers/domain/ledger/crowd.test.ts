import { describe, expect, it } from 'vitest';
import {
  admitCall,
  copiesOf,
  creditCall,
  HOLD,
  HOLD_NANOS,
  idOf,
  keyCopy,
  NOW,
  ownerOf,
  settleCall,
  userCopy,
  walletCopy,
} from '../../../tests/support/ledger';
import { PaperLedger } from '../../../tests/support/paper-ledger';
import type { LimitScope, RelayError } from '../errors';
import type { LimitSet } from '../limits/limit-set';
import { nanos } from '../money';
import { MINUTE_MS } from '../time';
import type { Lease } from './calls';

const OWNER = ownerOf(1);
const CROWD = 10_000;
const ROOM = 137;
const HOLD_TOKENS = HOLD.inputTokens + HOLD.parts.heldOutputTokensUpTo;
const IDS = Array.from({ length: CROWD }, (_, n) => idOf('request', n));
const SCOPES: readonly LimitScope[] = ['key', 'user', 'wallet'];

/** What is limited to 137, and what the others and then one more are refused as. */
const LIMITS: readonly (readonly [
  string,
  { readonly set: LimitSet; readonly during: Partial<RelayError>; readonly after: object | null },
])[] = [
  [
    'requests in a window',
    {
      set: { requests: [{ limit: ROOM, spanMs: MINUTE_MS }] },
      during: { kind: 'rate-limited', what: 'requests', limit: ROOM, spanMs: MINUTE_MS },
      after: { kind: 'rate-limited', what: 'requests' },
    },
  ],
  [
    'requests at once',
    {
      set: { concurrency: ROOM },
      during: { kind: 'rate-limited', what: 'concurrency', limit: ROOM, spanMs: null },
      after: null,
    },
  ],
  [
    'tokens in a window',
    {
      set: { tokens: [{ limit: ROOM * HOLD_TOKENS, spanMs: MINUTE_MS }] },
      during: { kind: 'rate-limited', what: 'tokens', spanMs: null },
      after: null,
    },
  ],
  [
    'cost in a window',
    {
      set: { cost: [{ limit: ROOM * HOLD_NANOS, spanMs: MINUTE_MS }] },
      during: { kind: 'rate-limited', what: 'cost', spanMs: null },
      after: { kind: 'rate-limited', what: 'cost', spanMs: MINUTE_MS },
    },
  ],
  [
    'a budget of the day',
    {
      set: { budgets: [{ period: 'day', limitNanos: nanos(ROOM * HOLD_NANOS) }] },
      during: { kind: 'rate-limited', what: 'cost', spanMs: null },
      after: { kind: 'budget-spent', period: 'day' },
    },
  ],
];

describe('10,000 requests at once', () => {
  it('get 137 leases on a balance of 137 times what each holds, and spend it all', () => {
    const ledger = ledgerWith(ROOM * HOLD_NANOS);
    const { leases, refusals } = crowd(ledger);
    expect([leases.length, refusals.length]).toEqual([ROOM, CROWD - ROOM]);
    const held = { kind: 'rate-limited', scope: 'wallet', what: 'cost', spanMs: null };
    expect(kindsOf(refusals)).toMatchObject([held]);
    settleAll(ledger, leases);
    expect([ledger.state.balanceNanos, ledger.state.heldNanos]).toEqual([0, 0]);
    expect(oneMore(ledger)).toMatchObject({ kind: 'out-of-credit' });
  });

  describe.each(SCOPES)('of a %s with a limit', (scope) => {
    it.each(LIMITS)('get 137 leases within %s for 137', (_, { set, during, after }) => {
      const ledger = ledgerWith(CROWD * HOLD_NANOS);
      const limited = { version: 2, limits: set };
      const copies = { key: keyCopy, user: userCopy, wallet: walletCopy };
      ledger.apply(copies[scope](OWNER, limited));
      const { leases, refusals } = crowd(ledger);
      expect([leases.length, refusals.length]).toEqual([ROOM, CROWD - ROOM]);
      expect(kindsOf(refusals)).toMatchObject([{ ...during, scope }]);
      settleAll(ledger, leases);
      const spent = CROWD * HOLD_NANOS - ledger.state.balanceNanos;
      expect(spent).toBe(ROOM * HOLD_NANOS);
      const refusal = oneMore(ledger);
      if (after === null) expect(refusal).toBe(null);
      else expect(refusal).toMatchObject(after);
    });
  });
});

function ledgerWith(balance: number): PaperLedger {
  const ledger = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every: 50 });
  ledger.credit(creditCall('txn_first', { amountNanos: nanos(balance) }));
  return ledger;
}

function crowd(ledger: PaperLedger): {
  readonly leases: readonly Lease[];
  readonly refusals: readonly RelayError[];
} {
  const leases: Lease[] = [];
  const refusals: RelayError[] = [];
  for (const id of IDS) {
    const answer = ledger.admit(admitCall(OWNER.keyId, id));
    if (answer.ok) leases.push(answer.lease);
    else refusals.push(answer.error);
  }
  return { leases, refusals };
}

/** The refusals, each kind of them once. */
function kindsOf(refusals: readonly RelayError[]): readonly RelayError[] {
  const kinds = new Map(refusals.map((refusal) => [JSON.stringify(refusal), refusal]));
  return [...kinds.values()];
}

/** Each at the whole price of what it held. */
function settleAll(ledger: PaperLedger, leases: readonly Lease[]): void {
  for (const lease of leases) ledger.settle(settleCall(lease, { costNanos: HOLD_NANOS }));
}

function oneMore(ledger: PaperLedger): RelayError | null {
  const answer = ledger.admit(admitCall(OWNER.keyId, idOf('request', CROWD)));
  return answer.ok ? null : answer.error;
}
