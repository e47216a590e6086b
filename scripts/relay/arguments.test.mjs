import { describe, expect, it } from 'vitest';
import { parse, valueOf } from './arguments.mjs';
import { operationOf } from './operations.mjs';

const NOW = Date.UTC(2026, 10, 23);
const DAY_MS = 86_400_000;

describe('what is typed', () => {
  it('is words and flags, with or without =', () => {
    const { words, flags } = parse(['keys', 'list', '--tag', 'a', '--json', 'x', '--limit=3']);
    expect(words).toEqual(['keys', 'list', 'x']);
    expect([...flags]).toEqual([
      ['tag', 'a'],
      ['json', true],
      ['limit', '3'],
    ]);
  });

  it('adds up to a list where a flag comes again', () => {
    const { flags } = parse(['--model-name', 'a=b', '--hard', '--model-name=c=d', '--hard']);
    expect([...flags]).toEqual([
      ['model-name', 'a=b,c=d'],
      ['hard', true],
    ]);
  });

  /** @param {string} operation @param {string} name @param {string} text */
  function valueIn(operation, name, text) {
    const field = operationOf(operation).fields.find((one) => one.name === name);
    if (field === undefined) throw new Error(`${operation} has no ${name}`);
    return valueOf(field, text, NOW);
  }

  it.each([
    ['admin.credits.grant', 'amountNanos', '2.50', 2_500_000_000],
    ['admin.credits.grant', 'amountNanos', '$0.000000001', 1],
    ['admin.credits.adjust', 'amountNanos', '-3', -3_000_000_000],
    ['tokens.create', 'expiresAt', '7d', NOW + 7 * DAY_MS],
    ['tokens.create', 'expiresAt', '2027-01-01', Date.UTC(2027, 0, 1)],
    ['tokens.create', 'expiresAt', 'none', null],
    ['tokens.create', 'tags', 'a, b', ['a', 'b']],
    ['tokens.create', 'limits', '{"concurrency":1}', { concurrency: 1 }],
    ['tokens.create', 'limits.concurrency', '1', 1],
    ['admin.keys.create', 'limits.groups', 'team-a,night', ['team-a', 'night']],
    ['admin.users.change', 'limits.groups', 'team-a', ['team-a']],
    ['tokens.rotate', 'graceMs', '1h', 3_600_000],
    ['credits.statement', 'since', '1d', NOW - DAY_MS],
    ['admin.users.list', 'role', 'admin', 'admin'],
    ['credits.setAlerts', 'percents', '50,80', [50, 80]],
    ['admin.accounts.create', 'dailyCapNanos', '50', 50_000_000_000],
    ['admin.accounts.create', 'dailyCapNanos', 'none', null],
    ['admin.accounts.create', 'isHard', 'false', false],
    ['admin.accounts.create', 'costFactor', '1.1', [11, 10]],
    ['admin.accounts.create', 'costFactor', '2', [2, 1]],
    ['admin.accounts.create', 'costFactor', '[3,4]', [3, 4]],
    ['admin.accounts.create', 'egress', 'weur', 'weur'],
    ['admin.accounts.create', 'modelNames', 'a=b,c=d=e', { a: 'b', c: 'd=e' }],
    ['admin.accounts.create', 'modelNames', '{"a":"b,c"}', { a: 'b,c' }],
    [
      'admin.accounts.create',
      'activeHours',
      'Mon-Fri,Sun 08:00-18:30 Europe/Berlin',
      { timeZone: 'Europe/Berlin', days: [0, 1, 2, 3, 4, 5], fromMinute: 480, toMinute: 1_110 },
    ],
    [
      'admin.accounts.create',
      'activeHours',
      'fri-mon 22:00-6:00',
      { timeZone: 'UTC', days: [0, 1, 5, 6], fromMinute: 1_320, toMinute: 360 },
    ],
    [
      'admin.accounts.create',
      'activeHours',
      '00:00-24:00 Asia/Tokyo',
      { timeZone: 'Asia/Tokyo', days: [0, 1, 2, 3, 4, 5, 6], fromMinute: 0, toMinute: 1_440 },
    ],
    ['admin.accounts.change', 'activeHours', 'none', null],
  ])('stands in %s for %s: %s', (operation, name, text, expected) => {
    expect(valueIn(operation, name, text)).toEqual(expected);
  });

  it.each([
    ['admin.credits.grant', 'amountNanos', '1,5', /--amount takes dollars/],
    ['admin.credits.grant', 'amountNanos', '0.0000000001', /--amount takes dollars/],
    ['tokens.create', 'expiresAt', 'soon', /--expires takes a date/],
    ['tokens.create', 'limits', '{', /--limits takes JSON/],
    ['tokens.list', 'limit', 'many', /--limit takes a whole number/],
    ['admin.accounts.create', 'isHard', 'hard', /--hard takes true or false/],
    ['admin.accounts.create', 'costFactor', '1,1', /--cost-factor takes a factor/],
    ['admin.accounts.create', 'costFactor', '0.0', /--cost-factor takes a factor/],
    ['admin.accounts.create', 'modelNames', 'a', /--model-name takes pairs/],
    ['admin.accounts.create', 'modelNames', '=a', /--model-name takes pairs/],
    ['admin.accounts.create', 'activeHours', 'Mon 8-18', /--hours takes hours/],
    ['admin.accounts.create', 'activeHours', 'Mon-Fry 08:00-18:00', /--hours takes hours/],
    ['admin.accounts.create', 'activeHours', 'Mon 08:00-25:00', /--hours takes hours/],
    ['admin.accounts.create', 'activeHours', 'Mon 08:00-18:00 UTC x', /--hours takes hours/],
    ['admin.accounts.create', 'activeHours', '08:00', /--hours takes hours/],
  ])('is refused in %s for %s: %s', (operation, name, text, words) => {
    expect(() => valueIn(operation, name, text)).toThrow(words);
  });
});
