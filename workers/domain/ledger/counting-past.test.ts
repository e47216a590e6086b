import { expect, it } from 'vitest';
import { idOf, NOW } from '../../../tests/support/ledger';
import { emptyCounters, windowOf } from '../limits/counters';
import { addToWindow, sumAt } from '../limits/window';
import { MINUTE_MS } from '../time';
import { forgetPast } from './counting';

it('forgets of a holder that rests what has left its windows, and nothing else', () => {
  const limit = { limit: 9, spanMs: MINUTE_MS };
  const counters = emptyCounters({ requests: [limit] });
  const window = windowOf(counters, 'requests', limit);
  for (const at of [NOW, NOW + 30_000]) addToWindow(window, { at, amount: 1, seenAt: at });
  const state = { counters: new Map([[idOf('key', 1), counters]]) };
  forgetPast({ ...state, lastSeenAt: NOW + 59_000 });
  expect(window.amounts).toEqual([1, 1]);
  forgetPast({ ...state, lastSeenAt: NOW + 61_000 });
  expect(window.amounts).toEqual([1]);
  expect(sumAt(window, NOW + 61_000)).toBe(1);
});
