// What is told of the accounts' health: to isolates, which act upon it, and to people.

import { ZERO_NANOS } from '../money';
import type { SnapshotAccount } from '../snapshot';
import { providerOf } from '../snapshot';
import { SECOND_MS } from '../time';
import type { AccountState, Health, Load, Mark } from './calls';
import { isOf } from './marks';
import { spentAt } from './spend';
import type { BreakerEntry, HealthState } from './state';
import { isInForce, SILENT_MS, slotsOf } from './state';

/** Loads change with every report; isolates hear of them no more often than this. */
const LOADS_EVERY_MS = 5 * SECOND_MS;

const NO_LOAD: Load = { inFlight: 0, dayNanos: ZERO_NANOS, monthNanos: ZERO_NANOS };

/** How the accounts are at `now` (Unix ms). Its version is another one if an isolate must act. */
export function viewOf(state: HealthState, now: number): Health {
  refreshLoads(state, now);
  return { version: state.version, marks: marksOf(state, now), loads: state.loads.byAccount };
}

/** The version in force, with loads looked at; cheaper than the view. */
export function versionAt(state: HealthState, now: number): number {
  refreshLoads(state, now);
  return state.version;
}

/** Loads of accounts without any limit change nothing for anybody. */
function refreshLoads(state: HealthState, now: number): void {
  if (Math.abs(now - state.loads.at) < LOADS_EVERY_MS) return;
  const before = state.loads.byAccount;
  const byAccount = Object.fromEntries(loadsOf(state, now));
  state.loads = { at: now, byAccount };
  const isChanged = [...(state.accounts?.values() ?? [])].some(
    ({ id, maxConcurrency, dailyCapNanos, monthlyCapNanos }) => {
      const [one = NO_LOAD, other = NO_LOAD] = [before[id], byAccount[id]];
      return (
        (maxConcurrency !== null && one.inFlight !== other.inFlight) ||
        (dailyCapNanos !== null && one.dayNanos !== other.dayNanos) ||
        (monthlyCapNanos !== null && one.monthNanos !== other.monthNanos)
      );
    },
  );
  // Not kept: after a waking the version is that of the clock, which is higher.
  if (isChanged) state.version = Math.max(state.version + 1, now);
}

/** Accounts that carry or have cost something. */
function loadsOf(state: HealthState, now: number): ReadonlyMap<string, Load> {
  const loads = new Map<string, Load>();
  for (const [id, spend] of state.spend) {
    const { dayNanos, monthNanos } = spentAt(spend, now);
    if (monthNanos > ZERO_NANOS) loads.set(id, { inFlight: 0, dayNanos, monthNanos });
  }
  for (const { heardAt, inFlight } of state.isolates.values()) {
    if (now - heardAt > SILENT_MS) continue;
    for (const [id, count] of Object.entries(inFlight)) {
      const load = loads.get(id) ?? NO_LOAD;
      if (count > 0) loads.set(id, { ...load, inFlight: load.inFlight + count });
    }
  }
  for (const { id, isHard } of state.accounts?.values() ?? []) {
    if (!isHard) continue;
    const { count } = slotsOf(state, id);
    const load = loads.get(id) ?? NO_LOAD;
    if (count > load.inFlight) loads.set(id, { ...load, inFlight: count });
  }
  return loads;
}

/** What is held back now: what was said outright, and breakers that are open or half open. */
function marksOf(state: HealthState, now: number): readonly Mark[] {
  const said = [...state.marks.values()].filter((mark) => isInForce(mark, now));
  const broken = [...state.breakers.values()].flatMap(markOfBreaker);
  return [...said, ...broken];
}

function markOfBreaker({ subject, breaker: { opening } }: BreakerEntry): readonly Mark[] {
  if (opening === null) return [];
  const reason = subject.of === 'provider' ? 'overloaded' : 'failing';
  const { since, until } = opening;
  return [{ subject, state: 'open', reason, since, until }];
}

/** How each of `accounts` stands at `now` (Unix ms), in their order. */
export function statesOf(
  state: HealthState,
  accounts: readonly Pick<SnapshotAccount, 'id' | 'kind' | 'baseUrl'>[],
  now: number,
): readonly AccountState[] {
  const loads = loadsOf(state, now);
  const marks = marksOf(state, now);
  return accounts.map((account) => {
    const provider = providerOf(account);
    const own = marks.filter(({ subject }) =>
      subject.of === 'provider' ? subject.provider === provider : isOf(subject, account.id),
    );
    const whole = own.find(({ subject }) => subject.of === 'account');
    const load = loads.get(account.id) ?? NO_LOAD;
    return { accountId: account.id, state: whole?.state ?? 'ready', marks: own, load };
  });
}
