// Fields that people write in words of their own: active hours, a factor, pairs of names. Each
// gives what the API takes, or null for a text that means nothing.

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAY_MINUTES = 24 * 60;
/** A factor is exact: so many digits behind the point. */
const FACTOR_DIGITS_MAX = 5;

export const HOURS_WORDS = 'hours, such as "Mon-Fri 08:00-18:00 Europe/Berlin"';

/**
 * `Mon-Fri,Sun 08:00-18:00 Europe/Berlin`; an end before the beginning is on the next day; without
 * days: all; without a zone: UTC.
 * @param {string} text
 */
export function hoursOf(text) {
  const parts = text.trim().split(/\s+/);
  const at = parts.findIndex((part) => /^\d/.test(part));
  const [, from = '', to = ''] = /^([\d:]+)-([\d:]+)$/.exec(parts[at] ?? '') ?? [];
  const fromMinute = minuteOf(from);
  const toMinute = minuteOf(to);
  const days = at === 0 ? [0, 1, 2, 3, 4, 5, 6] : daysOf(parts.slice(0, at).join(''));
  const zone = parts.slice(at + 1);
  const isWhole = at >= 0 && zone.length <= 1 && fromMinute !== null && toMinute !== null;
  if (!isWhole || days === null) return null;
  return { timeZone: zone[0] ?? 'UTC', days, fromMinute, toMinute };
}

/** @param {string} text */
function minuteOf(text) {
  const [, hour = '', minute = ''] = /^(\d{1,2}):(\d\d)$/.exec(text) ?? [];
  const minutes = Number(hour) * 60 + Number(minute);
  const isTime = hour !== '' && Number(minute) < 60 && minutes <= DAY_MINUTES;
  return isTime ? minutes : null;
}

/** `Mon-Fri`, `sat,sun`, `Fri-Mon`; sorted, each once. @param {string} text */
function daysOf(text) {
  /** @type {Set<number>} */
  const days = new Set();
  for (const part of text.toLowerCase().split(',')) {
    const [first = '', last = first, more] = part.split('-');
    const from = DAYS.indexOf(first);
    const to = DAYS.indexOf(last);
    if (from === -1 || to === -1 || more !== undefined) return null;
    for (let day = from; day !== to; day = (day + 1) % DAYS.length) days.add(day);
    days.add(to);
  }
  return [...days].toSorted((one, other) => one - other);
}

/** `1.1` as [11, 10]: exact, and in lowest terms. @param {string} text */
export function factorOf(text) {
  const [, whole, part = ''] = /^(\d{1,4})(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined || part.length > FACTOR_DIGITS_MAX) return null;
  const bottom = 10 ** part.length;
  const top = Number(whole) * bottom + Number(part);
  const common = commonOf(top, bottom);
  return top === 0 ? null : [top / common, bottom / common];
}

/**
 * The greatest common divisor (Euclid).
 * @param {number} one @param {number} other @returns {number}
 */
function commonOf(one, other) {
  return other === 0 ? one : commonOf(other, one % other);
}

/** `a=b,c=d`; the last of two with one name holds. @param {string} text */
export function pairsOf(text) {
  const pairs = text.split(',').flatMap((part) => part.trim() || []);
  /** @type {Record<string, string>} */
  const table = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1 || at === pair.length - 1) return null;
    table[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return table;
}
