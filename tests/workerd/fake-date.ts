// A date that stands still and moves when told, also inside objects and for their alarms.

import { afterEach, beforeEach, vi } from 'vitest';
import { NOW } from '../support/ledger';

/** For every test of the calling file: begins at NOW; mocks are taken back at its end. */
export function useFakeDate(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: NOW });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
}

/** Moves the date on by `ms`. */
export function later(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}
