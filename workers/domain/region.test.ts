import { describe, expect, it } from 'vitest';
import { isRegion, REGIONS, regionOfContinent } from './region';

describe('regionOfContinent', () => {
  it('knows a region for every inhabited continent', () => {
    const found = ['NA', 'SA', 'EU', 'AS', 'OC', 'AF'].map(regionOfContinent);
    expect(found).toEqual(['enam', 'sam', 'weur', 'apac', 'oc', 'afr']);
  });

  it('takes Western Europe where the continent is not known', () => {
    for (const continent of [undefined, '', 'AN', 'T1', 'eu']) {
      expect(regionOfContinent(continent)).toBe('weur');
    }
  });
});

describe('isRegion', () => {
  it('accepts every region and nothing else', () => {
    expect(REGIONS.every(isRegion)).toBe(true);
    for (const text of ['', 'WEUR', 'weu', 'weurr', 'constructor']) {
      expect(isRegion(text)).toBe(false);
    }
  });

  it('holds no region twice', () => {
    expect(new Set(REGIONS).size).toBe(REGIONS.length);
  });
});
