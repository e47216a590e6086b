// What of the accounts' health outlives the object's memory, as one JSON document: what holds an
// account back, what it has cost, the places of exact limits. Windows of closed breakers, probes
// under way and isolates begin anew.

import { reopened } from '../breaker/breaker';
import type { AccountId } from '../ids';
import type { Mark, Subject } from './calls';
import { subjectName } from './calls';
import type { Spend } from './spend';
import type { HealthState, Permit } from './state';
import { emptyHealth, isInForce, isLost, putBreaker } from './state';

/** Fields are only ever added, and read as absent from a document of before. */
export interface KeptHealth {
  readonly version: number;
  readonly marks: readonly Mark[];
  readonly breakers: readonly {
    readonly subject: Subject;
    readonly since: number;
    readonly at: number;
    readonly until: number;
  }[];
  readonly spend: readonly (readonly [AccountId, Spend])[];
  readonly slots: readonly (readonly [string, Permit])[];
}

/** What to keep of `state`. */
export function healthToJson(state: HealthState): KeptHealth {
  return {
    version: state.version,
    marks: [...state.marks.values()],
    breakers: [...state.breakers.values()].flatMap(({ subject, breaker: { opening } }) =>
      opening === null
        ? []
        : [{ subject, since: opening.since, at: opening.at, until: opening.until }],
    ),
    spend: [...state.spend],
    slots: [...state.permits].filter(([, { slotNanos }]) => slotNanos !== null),
  };
}

/** The state as it was kept; versions go on above all that were told. `now` in Unix ms. */
export function healthFromJson(kept: KeptHealth, now: number): HealthState {
  const state = emptyHealth(Math.max(kept.version + 1, now));
  for (const mark of kept.marks) {
    if (isInForce(mark, now)) state.marks.set(subjectName(mark.subject), mark);
  }
  for (const { subject, ...opening } of kept.breakers) {
    putBreaker(state, subject, { breaker: reopened(opening), usedAt: now });
  }
  for (const [id, spend] of kept.spend) state.spend.set(id, spend);
  for (const [id, slot] of kept.slots) {
    // Its isolate has a minute from now on to say that it lives.
    const held = { ...slot, heardAt: now, probes: [], marks: [] };
    if (!isLost(held, now)) state.permits.set(id, held);
  }
  return state;
}
