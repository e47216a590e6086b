import { describe, expect, it } from 'vitest';
import type { RelaySettings } from '../snapshot';
import { EGRESS_SHARDS, egressAllowed, egressShardOf } from './egress';

function settingsWith(...egressCountries: readonly string[]): RelaySettings {
  return { egressCountries, egressRegion: 'wnam', headerTimeoutMs: {} };
}

describe('egressAllowed', () => {
  it('lets out requests from countries that an admin has listed, and from no other', () => {
    expect(egressAllowed('DE', settingsWith('US', 'DE'))).toBe(true);
    expect(egressAllowed('CN', settingsWith('US', 'DE'))).toBe(false);
    expect(egressAllowed('DE', settingsWith())).toBe(false);
    expect(egressAllowed('DE', undefined)).toBe(false);
  });

  it('lets out nobody whose country is not known, whatever is listed', () => {
    const listed = settingsWith('XX', 'T1', '', 'de', 'USA', 'undefined', 'null');
    for (const country of ['XX', 'T1', '', 'de', 'USA', undefined, null]) {
      expect(egressAllowed(country, listed)).toBe(false);
    }
  });
});

describe('egressShardOf', () => {
  const texts = Array.from({ length: 8_000 }, (_, index) => `req_${index.toString(36)}`);

  it('gives the same text the same shard, and spreads texts over all of them', () => {
    expect(texts.map(egressShardOf)).toEqual(texts.map(egressShardOf));
    const counts = Array.from(
      { length: EGRESS_SHARDS },
      (_, shard) => texts.filter((text) => egressShardOf(text) === shard).length,
    );
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(200);
  });
});
