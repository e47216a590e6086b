import { describe, expect, it } from 'vitest';
import {
  isCountryList,
  isHeaderTimeouts,
  RELAY_SETTINGS_DEFAULT,
  relaySettingsOf,
} from './relay-settings';

describe('the settings of the relay path', () => {
  it('take countries by their two capital letters, each once', () => {
    for (const good of [[], ['US'], ['DE', 'FR']]) expect(isCountryList(good)).toBe(true);
    for (const bad of ['US', null, ['us'], ['USA'], [1], ['US', 'US'], { 0: 'US' }]) {
      expect([bad, isCountryList(bad)]).toEqual([bad, false]);
    }
    expect(isCountryList(Array.from({ length: 301 }, () => 'US'))).toBe(false);
  });

  it('take a time a model, from a second to ten minutes', () => {
    for (const good of [{}, { m: 100 }, { 'claude-x': 600_000 }]) {
      expect(isHeaderTimeouts(good)).toBe(true);
    }
    const many = Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`m${n}`, 1_000]));
    for (const bad of [null, [], 5, { m: 99 }, { m: 600_001 }, { m: 1_000.5 }, { 'a b': 2_000 }]) {
      expect([bad, isHeaderTimeouts(bad)]).toEqual([bad, false]);
    }
    expect(isHeaderTimeouts({ m: '1000' })).toBe(false);
    expect(isHeaderTimeouts(many)).toBe(false);
  });

  it('are as they were stored', () => {
    const stored = { egressCountries: ['US'], egressRegion: 'weur', headerTimeoutMs: { m: 5_000 } };
    expect(relaySettingsOf(stored)).toEqual(stored);
  });

  it('are at their defaults where nothing is stored that can be used: nothing leaves elsewhere', () => {
    const nothing = { egressCountries: undefined, egressRegion: undefined };
    expect(relaySettingsOf({ ...nothing, headerTimeoutMs: undefined })).toEqual(
      RELAY_SETTINGS_DEFAULT,
    );
    const spoilt = { egressCountries: ['usa'], egressRegion: 'moon', headerTimeoutMs: { m: -1 } };
    expect(relaySettingsOf(spoilt)).toEqual({
      egressCountries: [],
      egressRegion: 'enam',
      headerTimeoutMs: {},
    });
  });
});
