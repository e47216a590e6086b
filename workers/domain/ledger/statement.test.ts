import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Closing } from './calls';
import type { StatementFilter, StatementLine } from './reads';
import type { Entry } from './row';
import type { StatementPlace, StatementRow } from './statement';
import { KEEP_ROWS_MS, placeFromText, placeToText, tellStatement } from './statement';
import { idOf, NOW } from '../../../tests/support/ledger';
import { nanos } from '../money';

const DAY_MS = 86_400_000;

/** A wallet on paper: what happened to it, and what its ledger would have stored. */
class History {
  rows: StatementRow[] = [];
  entries: Entry[] = [];
  balance = 0;
  credited = 0;
  now = NOW;
  readonly known = new Map<number, number>();

  credit(amount: number): void {
    this.#post('grant', amount);
    this.credited += amount;
  }

  open(admittedAt = this.now, admitted = true): void {
    const seq = (this.rows.at(-1)?.seq ?? 0) + 1;
    const named = { requestId: idOf('request', seq), keyId: idOf('key', seq % 2), model: 'm' };
    this.rows.push({ seq, ...named, admittedAt, admitted, outcome: null });
  }

  close(pick: number, cost: number): void {
    const open = this.rows.filter(({ outcome }) => outcome === null);
    const row = open[pick % Math.max(1, open.length)];
    if (row === undefined) return;
    const outcome = {
      closing: 'completed' as Closing,
      certainty: 'estimated' as const,
      costNanos: nanos(cost),
      closedAt: this.now,
    };
    this.rows = this.rows.map((each) => (each.seq === row.seq ? { ...each, outcome } : each));
    this.balance -= cost;
    this.known.set(row.seq, cost);
  }

  /** A request that the object never admitted, of some time ago. */
  stranger(ageMs: number, cost: number): void {
    this.open(this.now - ageMs, false);
    this.close(this.rows.filter(({ outcome }) => outcome === null).length - 1, cost);
  }

  correct(pick: number, cost: number): void {
    const seqs = [...this.known.keys()];
    const seq = seqs[pick % Math.max(1, seqs.length)];
    const before = seq === undefined ? undefined : this.known.get(seq);
    if (seq === undefined || before === undefined) return;
    this.known.set(seq, cost);
    this.#post('correction', before - cost);
  }

  /** Rows that were closed too long ago are gone. */
  prune(): void {
    const isKept = ({ outcome }: StatementRow) =>
      outcome === null || outcome.closedAt >= this.now - KEEP_ROWS_MS;
    this.rows = this.rows.filter(isKept);
    for (const seq of this.known.keys()) {
      if (!this.rows.some((row) => row.seq === seq)) this.known.delete(seq);
    }
  }

  begin(): StatementPlace {
    const place = {
      seq: this.rows.at(-1)?.seq ?? 0,
      n: this.entries.length,
      balanceNanos: this.balance,
      creditedNanos: this.credited,
      asOf: this.now,
    };
    // What comes later is dated later.
    this.now += 1;
    return place;
  }

  page(place: StatementPlace, asked: StatementFilter & { limit: number; reads?: number }) {
    const { reads = 3 } = asked;
    const rows = this.rows.filter(({ seq }) => seq <= place.seq).toReversed();
    const entries = this.entries.filter(({ n }) => n <= place.n).toReversed();
    const source = {
      rows: rows.slice(0, reads),
      rowsEnd: rows.length < reads,
      entries: entries.slice(0, reads),
      entriesEnd: entries.length < reads,
    };
    return tellStatement(place, source, asked);
  }

  #post(kind: Entry['kind'], amount: number): void {
    const n = this.entries.length + 1;
    const keyId = kind === 'correction' ? idOf('key', 1) : null;
    const entry = { n, entryId: `e${n}`, kind, amountNanos: nanos(amount), at: this.now, keyId };
    this.entries.push({ ...entry, reason: 'r', actor: 'a' });
    this.balance += amount;
  }
}

const amount = fc.integer({ min: 0, max: 1_000 });
const pick = fc.nat(20);
const step = fc.oneof(
  fc.record({ do: fc.constant('credit' as const), amount: fc.integer({ min: -500, max: 1_000 }) }),
  fc.record({ do: fc.constant('open' as const) }),
  fc.record({ do: fc.constant('close' as const), pick, amount }),
  fc.record({ do: fc.constant('correct' as const), pick, amount }),
  fc.record({ do: fc.constant('stranger' as const), amount, ageMs: fc.nat(DAY_MS) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.oneof(fc.nat(2), fc.nat(40 * DAY_MS)) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function live(history: History, steps: readonly Step[]): void {
  for (const each of steps) {
    if (each.do === 'credit') history.credit(each.amount);
    if (each.do === 'open') history.open();
    if (each.do === 'close') history.close(each.pick, each.amount);
    if (each.do === 'correct') history.correct(each.pick, each.amount);
    if (each.do === 'stranger') history.stranger(each.ageMs, each.amount);
    if (each.do === 'wait') history.now += each.ms;
  }
}

/** All pages; between two of them life goes on. */
function told(
  history: History,
  limit: number,
  meanwhile: { filter?: StatementFilter; steps?: readonly Step[]; reads?: number } = {},
): StatementLine[] {
  const { filter = {}, steps = [], reads = 3 } = meanwhile;
  const lines: StatementLine[] = [];
  const left = [...steps];
  let place: StatementPlace | null = history.begin();
  for (let pages = 0; place !== null; pages += 1) {
    if (pages > 1_000) throw new Error('a statement without an end');
    const page = history.page(place, { ...filter, limit, reads });
    expect(page.lines.length).toBeLessThanOrEqual(limit);
    lines.push(...page.lines);
    place = page.next === null ? null : placeFromText(placeToText(page.next), ALL);
    if (page.next !== null) expect(place).toEqual(page.next);
    live(history, left.splice(0, 2));
  }
  return lines;
}

const ALL = { lastSeq: 1_000, lastEntry: 1_000 };

function adds(lines: readonly StatementLine[], balance: number): void {
  let running = balance;
  for (const line of lines) {
    expect(line.balanceNanos).toBe(running);
    running -= line.amountNanos;
  }
  expect(running).toBe(0);
}

describe('a statement', () => {
  it('tells everything once, adds up to the present balance and begins at nothing', () => {
    fc.assert(
      fc.property(fc.array(step), fc.array(step), fc.integer({ min: 1, max: 7 }), (a, b, limit) => {
        const history = new History();
        live(history, a);
        const { balance } = history;
        const happened = [
          ...history.rows.flatMap(({ outcome, requestId }) => (outcome === null ? [] : requestId)),
          ...history.entries.map(({ entryId }) => entryId),
        ];
        const lines = told(history, limit, { steps: b });
        adds(lines, balance);
        const ids = lines.map(({ entry, request }) => entry?.entryId ?? request?.requestId ?? '');
        expect(ids.toSorted()).toEqual(happened.toSorted());
      }),
      { numRuns: 300 },
    );
  });

  it('is the same whatever the size of its pages', () => {
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 7 }), (steps, limit) => {
        const [one, other] = [new History(), new History()];
        live(one, steps);
        live(other, steps);
        expect(told(one, limit)).toEqual(told(other, 500, { reads: 1_000 }));
      }),
    );
  });

  it('puts requests that are gone into one line, and adds up all the same', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5 }), fc.array(step), (before, after) => {
        const history = new History();
        live(history, before);
        history.now += KEEP_ROWS_MS;
        live(history, after);
        history.prune();
        const lines = told(history, 4);
        adds(lines, history.balance);
        expect(lines.filter(({ kind }) => kind === 'older').length).toBeLessThanOrEqual(1);
        const grants = history.entries.filter(({ kind }) => kind === 'grant').length;
        expect(lines.filter(({ kind }) => kind === 'grant')).toHaveLength(grants);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps the true balances when only a part of it is asked for', () => {
    fc.assert(
      fc.property(fc.array(step), fc.nat(60 * DAY_MS), fc.boolean(), (steps, age, some) => {
        const [whole, part] = [new History(), new History()];
        live(whole, steps);
        live(part, steps);
        const filter: StatementFilter = {
          since: whole.now - age,
          until: whole.now - Math.floor(age / 4),
          ...(some ? { kinds: ['charge'] } : { keyId: idOf('key', 1) }),
        };
        const expected = told(whole, 500, { reads: 1_000 }).filter(
          ({ at, kind, keyId }) =>
            at >= (filter.since ?? 0) &&
            at < (filter.until ?? 0) &&
            (some ? kind === 'charge' : keyId === idOf('key', 1)),
        );
        expect(told(part, 3, { filter })).toEqual(expected);
      }),
    );
  });

  it('tells of a grant after the requests that were paid from it, with old ones between', () => {
    const history = new History();
    history.credit(1_000);
    history.open();
    history.close(0, 300);
    history.now += KEEP_ROWS_MS + DAY_MS;
    history.prune();
    history.open();
    history.close(0, 50);
    const lines = told(history, 10);
    expect(lines.map(({ kind, amountNanos, balanceNanos }) => [kind, amountNanos, balanceNanos]))
      // Newest first.
      .toEqual([
        ['charge', -50, 650],
        ['older', -300, 700],
        ['grant', 1_000, 1_000],
      ]);
  });

  it('does not count what was open when it was begun, though it closes between two pages', () => {
    const history = new History();
    history.credit(100);
    history.now += 1;
    history.open();
    history.open();
    history.close(1, 30);
    const first = history.page(history.begin(), { limit: 1, reads: 10 });
    expect(first.lines).toMatchObject([{ kind: 'charge', amountNanos: -30, balanceNanos: 70 }]);
    history.close(0, 5);
    if (first.next === null) throw new Error('there is more');
    const second = history.page(first.next, { limit: 5, reads: 10 });
    expect(second).toMatchObject({ lines: [{ kind: 'grant', balanceNanos: 100 }], next: null });
  });
});

describe('a place in a statement', () => {
  it.each(['', 'x', '1', '1.2.3.4', '1.2.3.4.5.6', '1.2.1e3.4.5', '-1.2.3.4.5', '11.2.3.4.5'])(
    '%j is none in a wallet of ten rows',
    (text) => {
      expect(placeFromText(text, { lastSeq: 10, lastEntry: 10 })).toBeNull();
    },
  );

  it('is read back with a balance below nothing', () => {
    const place = { seq: 3, n: 2, balanceNanos: -5, creditedNanos: -7, asOf: NOW };
    expect(placeFromText(placeToText(place), { lastSeq: 3, lastEntry: 2 })).toEqual(place);
  });
});
