import { describe, expect, it } from 'vitest';
import { REASONS } from './state';
import { FAILURES } from '../../domain/scheduling/failure';

describe('the reasons that hold an account back', () => {
  it('are in words for every failure that there is', () => {
    const names = new Set(FAILURES.map(({ name }) => name));
    const held = [...names].filter((name) => name !== 'no-such-thread');
    expect(held.filter((name) => REASONS[name] === undefined)).toEqual([]);
    expect(held.length).toBeGreaterThan(10);
  });
});
