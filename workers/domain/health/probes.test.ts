import { describe, expect, it } from 'vitest';
import { accountFor, markOf, ONE, SUBJECTS, TWO } from '../../../tests/support/health';
import { NOW } from '../../../tests/support/ledger';
import { LIST_PRICES } from '../pricing/list-prices';
import type { SnapshotAccount } from '../snapshot';
import type { Mark } from './calls';
import { dueProbes } from './probes';

const OPUS = 'claude-opus-5-5';
/** The list's own, one row a model. */
const PRICES = [...new Map(LIST_PRICES.map((row) => [row.model, row])).values()];
const OPUS_FAMILY = PRICES.find(({ model }) => model === OPUS)?.family ?? '';

const HALF_OPEN = { state: 'open', reason: 'failing', until: NOW } as const;
const OPEN = { ...HALF_OPEN, until: NOW + 1 } as const;
const COOLING = { state: 'cooling', reason: 'throttled', until: NOW + 1 } as const;
const FAMILY = { ...SUBJECTS.family, family: OPUS_FAMILY };

function due(marks: readonly Mark[], accounts: readonly SnapshotAccount[] = [accountFor(ONE)]) {
  return dueProbes({ accounts, marks, prices: PRICES, now: NOW }).map(
    ({ account, model, kind, subjects }) => ({
      id: account.id,
      model,
      kind,
      of: subjects.map((subject) => subject.of),
    }),
  );
}

describe('a probe is due', () => {
  it('for an account that is out, with the cheapest model that it serves', () => {
    const [probe] = due([markOf()]);
    const cheapest = Math.min(...PRICES.map(({ bands }) => bands[0].output));
    const price = PRICES.find(({ model }) => model === probe?.model);
    expect(price?.bands[0].output).toBe(cheapest);
    expect(probe).toMatchObject({ id: ONE, kind: 'last-resort', of: ['account'] });
    const [own] = due([markOf()], [accountFor(ONE, { models: [OPUS, 'made-up'] })]);
    expect(own?.model).toBe(OPUS);
    const [unpriced] = due([markOf()], [accountFor(ONE, { models: ['made-up'] })]);
    expect(unpriced?.model).toBe('made-up');
  });

  it('for a model that is out at an account, with that model', () => {
    const probes = due([markOf({ subject: SUBJECTS.model, until: NOW + 1 })]);
    expect(probes).toEqual([{ id: ONE, model: OPUS, kind: 'last-resort', of: ['model'] }]);
  });

  it('for a family whose breaker is half open, and not while it is open', () => {
    const [probe, ...others] = due([markOf({ subject: FAMILY, ...HALF_OPEN })]);
    expect(others).toEqual([]);
    expect(probe).toMatchObject({ kind: 'probe', of: ['family'] });
    expect(PRICES.find(({ model }) => model === probe?.model)?.family).toBe(OPUS_FAMILY);
    expect(due([markOf({ subject: FAMILY, ...OPEN })])).toEqual([]);
  });

  it('for a provider’s overload at one account, the one that the least holds back', () => {
    const marks = [
      markOf({ subject: SUBJECTS.provider, ...HALF_OPEN }),
      markOf({ subject: FAMILY, ...OPEN }),
    ];
    const accounts = [accountFor(ONE), accountFor(TWO)];
    expect(due(marks, accounts)).toEqual([
      { id: TWO, model: OPUS, kind: 'probe', of: ['provider'] },
    ]);
  });

  it('with all that holds the call back, as a last resort if any of it is shut', () => {
    const model = markOf({ subject: SUBJECTS.model, until: NOW + 1 });
    const [probe] = due([markOf(), model], [accountFor(ONE, { models: [OPUS] })]);
    expect(probe).toMatchObject({ kind: 'last-resort', of: ['account', 'model'] });
  });
});

describe('no probe is due', () => {
  it.each([
    ['what cools down', [markOf(COOLING)]],
    ['what is out and cools down too', [markOf(), markOf({ subject: FAMILY, ...COOLING })]],
    ['what was out', [markOf({ until: NOW })]],
    ['a place that is refused', [markOf({ subject: SUBJECTS.colo, state: 'elsewhere' })]],
  ])('for %s', (_, marks) => {
    expect(due(marks, [accountFor(ONE, { models: [OPUS] })])).toEqual([]);
  });

  it('for an account that is disabled, nor for one that is gone', () => {
    expect(due([markOf()], [accountFor(ONE, { status: 'disabled' })])).toEqual([]);
    expect(due([markOf()], [accountFor(TWO)])).toEqual([]);
  });

  it('for a model that the account does not serve any more', () => {
    const mark = markOf({ subject: SUBJECTS.model });
    expect(due([mark], [accountFor(ONE, { models: ['other'] })])).toEqual([]);
  });
});
