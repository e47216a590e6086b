// What an admin sets for the relay path as a whole: what each setting takes, and what it is while
// nobody has set it. It stores nothing and asks nobody.

import { isRegion } from './region';
import type { RelaySettings } from './snapshot';
import { MINUTE_MS } from './time';

/** No request leaves from elsewhere, and every model has the same time for its headers. */
export const RELAY_SETTINGS_DEFAULT: RelaySettings = {
  egressCountries: [],
  egressRegion: 'enam',
  headerTimeoutMs: {},
};

const COUNTRIES_MAX = 300;
const TIMEOUTS_MAX = 200;
const TIMEOUT_MIN_MS = 100;
/** A request without a stream has no longer either. */
const TIMEOUT_MAX_MS = 10 * MINUTE_MS;
const MODEL = /^[\x21-\x7e]{1,200}$/;

/** What `isCountryList` takes, for whoever is refused. */
export const COUNTRY_LIST_WORDS =
  'must be a list of countries by their two capital letters (ISO 3166), each once';

/** Whether these are countries as requests name them (`US`), each once; none: off. */
export function isCountryList(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length > COUNTRIES_MAX) return false;
  const isCountry = (one: unknown) => typeof one === 'string' && /^[A-Z]{2}$/.test(one);
  return value.every(isCountry) && new Set(value).size === value.length;
}

/** What `isHeaderTimeouts` takes, for whoever is refused. */
export const HEADER_TIMEOUTS_WORDS = 'must be milliseconds by model, 1000 to 600000';

/** Whether these are times (ms) by model, each from a tenth of a second to ten minutes. */
export function isHeaderTimeouts(value: unknown): value is Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  if (entries.length > TIMEOUTS_MAX) return false;
  return entries.every(
    ([model, ms]) =>
      MODEL.test(model) && Number.isInteger(ms) && ms >= TIMEOUT_MIN_MS && ms <= TIMEOUT_MAX_MS,
  );
}

/** What is stored of the settings, by field; what is absent or cannot be used is at its default. */
export function relaySettingsOf(
  stored: Readonly<Record<keyof RelaySettings, unknown>>,
): RelaySettings {
  const { egressCountries, egressRegion, headerTimeoutMs } = stored;
  const isKnown = typeof egressRegion === 'string' && isRegion(egressRegion);
  return {
    egressCountries: isCountryList(egressCountries)
      ? egressCountries
      : RELAY_SETTINGS_DEFAULT.egressCountries,
    egressRegion: isKnown ? egressRegion : RELAY_SETTINGS_DEFAULT.egressRegion,
    headerTimeoutMs: isHeaderTimeouts(headerTimeoutMs)
      ? headerTimeoutMs
      : RELAY_SETTINGS_DEFAULT.headerTimeoutMs,
  };
}
