import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  admitCall,
  CATALOGUE,
  copiesOf,
  HASH,
  HOLD,
  idOf,
  keyCopy,
  LIKELY_INPUT_NANOS,
  MODEL,
  NOW,
  ownerOf,
  PRICE,
  userCopy,
  walletCopy,
} from '../../../tests/support/ledger';
import { nanos, ZERO_NANOS } from '../money';
import { MINUTE_MS } from '../time';
import type { Closing } from './calls';
import { CERTAINTIES } from './calls';
import type { Copies } from './decide';
import { checkKey, correctionOf, decideProgress, decideSettle, LEASE_MS, recover } from './decide';
import { openedOf, openRow } from './lease';
import type { Progress, RequestRow } from './row';

const OWNER = ownerOf(1);
const REQUEST = idOf('request', 1);
const COPIES = copiesOf(OWNER);
const FACTS = { copies: COPIES, catalogue: CATALOGUE, now: NOW };

function openedRow(): RequestRow {
  const admission = { model: MODEL, price: PRICE, likelyInputNanos: LIKELY_INPUT_NANOS, ties: {} };
  const opened = openedOf(admitCall(OWNER.keyId, REQUEST), { ...FACTS, admission });
  if (opened === null) throw new Error('not opened');
  return openRow(opened, { seq: 1, now: NOW, hold: HOLD });
}

describe('checkKey', () => {
  const previous = { hash: 'old', until: NOW };
  const key = (differs: Partial<Copies['key']>): Copies => ({
    ...COPIES,
    key: keyCopy(OWNER, differs),
  });

  it('lets an active key through, an expiring one to its last millisecond', () => {
    expect(checkKey(COPIES, HASH, NOW)).toBeNull();
    expect(checkKey(key({ expiresAt: NOW + 1 }), HASH, NOW)).toBeNull();
    expect(checkKey(key({ previous }), 'old', NOW - 1)).toBeNull();
  });

  it.each([
    [COPIES, 'wrong', 'unknown'],
    [COPIES, '', 'unknown'],
    [key({ previous }), 'old', 'unknown'],
    [key({ status: 'disabled' }), HASH, 'revoked'],
    [key({ status: 'deleted' }), HASH, 'revoked'],
    [key({ expiresAt: NOW }), HASH, 'expired'],
    [key({ status: 'disabled', expiresAt: 0 }), 'wrong', 'unknown'],
    [{ ...COPIES, user: userCopy(OWNER, { status: 'suspended' }) }, HASH, 'user-suspended'],
    [{ ...COPIES, user: userCopy(OWNER, { status: 'deleted' }) }, HASH, 'user-suspended'],
    [{ ...COPIES, wallet: walletCopy(OWNER, { status: 'suspended' }) }, HASH, 'wallet-suspended'],
    [{ ...COPIES, wallet: walletCopy(OWNER, { status: 'deleted' }) }, HASH, 'wallet-suspended'],
  ])('refuses %j with %j as %s', (copies, hash, why) => {
    const kind = why.endsWith('-suspended') ? 'forbidden' : 'unauthenticated';
    expect(checkKey(copies, hash, NOW)).toEqual({ kind, why });
  });

  it('asks a key that was chosen and not sent for no hash, and for all else as ever', () => {
    expect(checkKey(COPIES, null, NOW)).toBeNull();
    const fallen: readonly Copies[] = [
      key({ status: 'disabled' }),
      key({ status: 'deleted' }),
      key({ expiresAt: NOW }),
      { ...COPIES, user: userCopy(OWNER, { status: 'suspended' }) },
      { ...COPIES, wallet: walletCopy(OWNER, { status: 'suspended' }) },
    ];
    for (const copies of fallen) {
      expect(checkKey(copies, null, NOW)).not.toBeNull();
      expect(checkKey(copies, null, NOW)).toEqual(checkKey(copies, HASH, NOW));
    }
  });

  it('tells nobody with a wrong hash how the key, its user or its wallet stand', () => {
    const fallen: Copies = {
      key: keyCopy(OWNER, { status: 'deleted', expiresAt: 0 }),
      user: userCopy(OWNER, { status: 'suspended' }),
      wallet: walletCopy(OWNER, { status: 'suspended' }),
    };
    expect(checkKey(fallen, 'wrong', NOW)).toEqual(checkKey(COPIES, 'wrong', NOW));
  });
});

describe('decideSettle', () => {
  const settles = fc.record({
    certainty: fc.constantFrom('estimated' as const, 'reported' as const),
    costNanos: fc.nat(1_000).map(nanos),
    closing: fc.constantFrom('completed' as const, 'client-left' as const, 'void' as const),
  });

  it('closes once, then corrects only upward in certainty, each certainty once', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(settles, { minLength: 1 }), (isRecovered, calls) => {
        let row = openedRow();
        if (isRecovered) row = closedBy(row, recover(row, NOW));
        const first = row.outcome;
        const seen = isRecovered ? [recover(row, NOW)] : [];
        const corrections: { readonly entryId: string; readonly amountNanos: number }[] = [];
        for (const made of calls) {
          const decision = decideSettle(row, made, NOW);
          seen.push({ ...made, closedAt: NOW });
          if (decision.do === 'close') row = closedBy(row, decision.outcome);
          if (decision.do !== 'correct') continue;
          corrections.push(correctionOf(row, decision, NOW));
          const { certainty, costNanos } = decision;
          row = { ...row, known: { certainty, costNanos } };
        }
        const best = CERTAINTIES.findLast((name) => seen.some((one) => one.certainty === name));
        const { certainty, costNanos } = seen.find((one) => one.certainty === best) ?? {};
        expect(row.known).toEqual({ certainty, costNanos });
        expect(row.outcome).toMatchObject(first ?? { closing: calls[0]?.closing });
        expect(new Set(corrections.map((entry) => entry.entryId)).size).toBe(corrections.length);
        const moved = corrections.reduce((sum, entry) => sum + entry.amountNanos, 0);
        expect((row.outcome?.costNanos ?? 0) - moved).toBe(costNanos);
      }),
    );
  });

  it('closes what it does not know', () => {
    const made = { closing: 'void', certainty: 'reported', costNanos: ZERO_NANOS } as const;
    const outcome = { ...made, closedAt: NOW };
    expect(decideSettle(null, made, NOW)).toEqual({ do: 'close', outcome });
  });

  it('throws for a negative cost, which only a bug makes', () => {
    const made = { closing: 'completed', certainty: 'reported', costNanos: nanos(-1) } as const;
    expect(() => decideSettle(null, made, NOW)).toThrow(new RangeError('a cost is never negative'));
    const free = { ...made, costNanos: ZERO_NANOS };
    expect(decideSettle(null, free, NOW)).toMatchObject({ do: 'close' });
  });

  it('writes a correction that names both closings and is the request’s own', () => {
    const row = closedBy(openedRow(), recover(openedRow(), NOW));
    const made = { closing: 'completed', certainty: 'reported', costNanos: nanos(7) } as const;
    const decision = decideSettle(row, made, NOW);
    if (decision.do !== 'correct') throw new Error('not corrected');
    expect(correctionOf(row, decision, NOW + 1)).toEqual({
      entryId: `correction:${REQUEST}:reported`,
      kind: 'correction',
      amountNanos: LIKELY_INPUT_NANOS - 7,
      at: NOW + 1,
      keyId: OWNER.keyId,
      reason: 'recovered (recovered) is completed (reported)',
      actor: 'ledger',
    });
  });
});

function closedBy(row: RequestRow, outcome: NonNullable<RequestRow['outcome']>): RequestRow {
  const { certainty, costNanos } = outcome;
  return { ...row, outcome, known: { certainty, costNanos } };
}

describe('recover', () => {
  const sign = (differs: Partial<Progress>): Progress => ({
    n: 1,
    costNanos: ZERO_NANOS,
    dispatched: true,
    ...differs,
  });

  it.each([
    [null, LIKELY_INPUT_NANOS],
    [sign({ dispatched: false }), 0],
    [sign({ dispatched: false, costNanos: nanos(9) }), 0],
    [sign({ costNanos: nanos(9) }), 9],
    [sign({}), LIKELY_INPUT_NANOS],
  ])('charges after the last sign of life %j: %i', (progress, costNanos) => {
    expect(recover({ ...openedRow(), progress }, NOW + LEASE_MS)).toEqual({
      closing: 'recovered',
      certainty: 'recovered',
      costNanos,
      closedAt: NOW + LEASE_MS,
    });
  });
});

describe('recover of a row that no admit opened', () => {
  it('charges nothing: nothing is known of it', () => {
    expect(recover({ ...openedRow(), opened: null }, NOW).costNanos).toBe(0);
  });
});

describe('decideProgress', () => {
  const AT = { now: NOW, firstUsedAt: NOW };

  it('goes on while the key may, or while nothing is known of it', () => {
    expect(decideProgress(openedRow(), COPIES, AT)).toEqual({ state: 'open' });
    expect(decideProgress(openedRow(), null, AT)).toEqual({ state: 'open' });
    const rotated = { ...COPIES, key: keyCopy(OWNER, { hash: 'fresh' }) };
    expect(decideProgress(openedRow(), rotated, AT)).toEqual({ state: 'open' });
  });

  it('says stop for a key, user or wallet that may do nothing any more', () => {
    const fallen: readonly Copies[] = [
      { ...COPIES, key: keyCopy(OWNER, { status: 'disabled' }) },
      { ...COPIES, key: keyCopy(OWNER, { expiresAt: NOW }) },
      { ...COPIES, user: userCopy(OWNER, { status: 'suspended' }) },
      { ...COPIES, wallet: walletCopy(OWNER, { status: 'suspended' }) },
    ];
    for (const copies of fallen) {
      const stop = { state: 'stop', closing: 'revoked' };
      expect(decideProgress(openedRow(), copies, AT)).toEqual(stop);
    }
  });

  it('says stop for a key whose life, begun with its first use, has ended', () => {
    const key = keyCopy(OWNER, { limits: { activation: { lifetimeMs: MINUTE_MS } } });
    const at = (now: number) => decideProgress(openedRow(), { ...COPIES, key }, { ...AT, now });
    expect(at(NOW + MINUTE_MS - 1)).toEqual({ state: 'open' });
    expect(at(NOW + MINUTE_MS)).toEqual({ state: 'stop', closing: 'revoked' });
  });

  it('says stop for a request that someone has stopped, even where the key is not known', () => {
    const stopped = { ...openedRow(), stoppedBy: 'usr_admin' };
    for (const copies of [COPIES, null]) {
      expect(decideProgress(stopped, copies, AT)).toEqual({ state: 'stop', closing: 'stopped' });
    }
  });

  it('says how a closed request ended, and that an unknown one is unknown', () => {
    const closings: readonly Closing[] = ['completed', 'void', 'recovered', 'stopped'];
    for (const closing of closings) {
      const outcome = { ...recover(openedRow(), NOW), closing };
      const answer = decideProgress(closedBy(openedRow(), outcome), null, AT);
      expect(answer).toEqual({ state: 'closed', closing });
    }
    expect(decideProgress(null, COPIES, AT)).toEqual({ state: 'unknown' });
  });
});
