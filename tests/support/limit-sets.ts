// Random limits, and the copies of keys, user and wallet that carry them, for the simulation of
// limits. It checks nothing.

import type { KeyId } from '../../workers/domain/ids';
import type { Copy, KeyCopy, UserCopy, WalletCopy } from '../../workers/domain/ledger/copies';
import type {
  BudgetLimit,
  BudgetPeriod,
  LimitSet,
  WindowLimit,
} from '../../workers/domain/limits/limit-set';
import { nanos } from '../../workers/domain/money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../workers/domain/time';
import { idOf, keyCopy, ownerOf, userCopy, walletCopy } from './ledger';

type Random = () => number;

/** Each near a change of clocks in one of ZONES, the days of which are then 23 to 25 hours. */
export const STARTS: readonly number[] = [
  Date.UTC(2035, 2, 10, 20), // New York, forward
  Date.UTC(2035, 10, 3, 18), // New York, back
  Date.UTC(2035, 9, 6, 3), // Lord Howe, half an hour forward
  Date.UTC(2035, 2, 31, 2), // Lord Howe, back; a month begins
  Date.UTC(2035, 2, 10, 22), // Havana, over midnight
  Date.UTC(2035, 3, 26, 12), // Cairo, over midnight
  Date.UTC(2035, 8, 1, 16), // Santiago, over midnight
  Date.UTC(2035, 11, 31, 14), // a day, a week, a month and a year end
];
const ZONES = [
  'UTC',
  'America/New_York',
  'Australia/Lord_Howe',
  'America/Havana',
  'Africa/Cairo',
  'America/Santiago',
  'Asia/Kathmandu',
] as const;
const FAMILIES = ['opus', 'haiku'] as const;
const SPANS = [1, 5, 60, 600, 3_600, 18_000, 86_400].map((seconds) => seconds * SECOND_MS);
const PERIODS: readonly BudgetPeriod[] = ['day', 'day', 'week', 'month', 'total'];

export const OWNER = ownerOf(1);
export const KEYS = [OWNER.keyId, idOf('key', 2), idOf('key', 3)] as const;

/** The newest copies, as whoever pushes them knows them. */
export class Shelf {
  readonly #keys = new Map<KeyId, KeyCopy>();
  user: UserCopy = userCopy(OWNER);
  wallet: WalletCopy = walletCopy(OWNER);

  constructor(random: Random) {
    this.user = { ...this.user, timeZone: anyOf(random, ZONES), limits: limitSet(random, 0.25) };
    this.wallet = { ...this.wallet, limits: limitSet(random, 0.2) };
    for (const id of KEYS) {
      const limits = limitSet(random, 0.35);
      this.#keys.set(id, { ...keyCopy({ ...OWNER, keyId: id }), limits });
    }
  }

  key(id: KeyId): KeyCopy {
    const known = this.#keys.get(id);
    if (known === undefined) throw new Error(`no key ${id}`);
    return known;
  }

  all(): readonly Copy[] {
    return [...this.#keys.values(), this.user, this.wallet];
  }

  keep(copy: Copy): void {
    if (copy.kind === 'key') this.#keys.set(copy.id, copy);
    else if (copy.kind === 'user') this.user = copy;
    else this.wallet = copy;
  }

  /** A change of one of them: limits, status or the zone; what is out of use soon comes back. */
  change(random: Random): Copy {
    const held = anyOf(random, this.all());
    const version = held.version + 1 + Math.floor(random() * 3);
    if (held.status !== 'active') return { ...held, status: 'active', version };
    const dice = random();
    if (dice < 0.2) {
      if (random() < 0.3) return { ...held, status: 'deleted', version };
      if (held.kind === 'key') return { ...held, status: 'disabled', version };
      return { ...held, status: 'suspended', version };
    }
    if (held.kind === 'user' && dice < 0.4) {
      return { ...held, timeZone: anyOf(random, ZONES), version };
    }
    return { ...held, limits: limitSet(random, 0.3), version };
  }
}

/** Each kind of limit is set with the chance `often`. */
function limitSet(random: Random, often: number): LimitSet {
  const is = (): boolean => random() < often;
  return {
    ...(is() ? { requests: windows(random, [1, 12]) } : {}),
    ...(is() ? { tokens: windows(random, [3_000, 40_000]) } : {}),
    ...(is() ? { cost: windows(random, [20_000_000, 400_000_000]) } : {}),
    ...(is() ? { concurrency: between(random, [1, 4]) } : {}),
    ...(is() ? { budgets: budgets(random) } : {}),
  };
}

function windows(random: Random, range: readonly [number, number]): readonly WindowLimit[] {
  return Array.from({ length: random() < 0.3 ? 2 : 1 }, () => {
    const odd = between(random, [SECOND_MS, random() < 0.5 ? MINUTE_MS : 24 * HOUR_MS]);
    return { limit: between(random, range), spanMs: random() < 0.3 ? odd : anyOf(random, SPANS) };
  });
}

function budgets(random: Random): readonly BudgetLimit[] {
  return Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({
    period: anyOf(random, PERIODS),
    limitNanos: nanos(between(random, [20_000_000, 900_000_000])),
    ...(random() < 0.4 ? { family: anyOf(random, FAMILIES) } : {}),
  }));
}

/** Whole, both ends included. */
export function between(random: Random, [least, most]: readonly [number, number]): number {
  return least + Math.floor(random() * (most - least + 1));
}

export function anyOf<T>(random: Random, list: readonly T[]): T {
  const [first] = list;
  if (first === undefined) throw new Error('nothing to choose from');
  return list[Math.floor(random() * list.length)] ?? first;
}
