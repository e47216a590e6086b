import { describe, expect, it } from 'vitest';
import { REASONS } from './state';
import { FAILURES } from '../../domain/scheduling/failure';

describe('the reasons that hold an account back', () => {
  it('are in words for every failure that marks an account or counts against it', () => {
    const held = FAILURES.filter(
      ({ holds = null, counts = 'none' }) => holds !== null || counts !== 'none',
    );
    const names = new Set(held.map(({ name }) => name));
    expect([...names].filter((name) => REASONS[name] === undefined)).toEqual([]);
    expect(names.size).toBeGreaterThan(10);
  });
});
