import { describe, expect, it } from 'vitest';
import { isId, newId as newDomainId, timeOfId } from '../workers/domain/ids';
import { BLOCK_HOURS } from '../workers/domain/usage/blocks';
import { FINE_CLOSINGS } from '../workers/domain/usage/figures';
import { bucketOf as domainBucketOf } from '../workers/domain/usage/histogram';
import type { Row } from '../scripts/lib/seed-data.mjs';
import { bucketOf, newId, randomOf, seedData } from '../scripts/lib/seed-data.mjs';

const END = Date.UTC(2026, 10, 23);
const WANTED = { seed: 7, endAt: END, users: 20, requests: 500 };

describe('seeded rows', () => {
  const data = seedData(WANTED);

  it('are the same for the same seed, and others for another', () => {
    expect(seedData(WANTED)).toEqual(data);
    expect(seedData({ ...WANTED, seed: 8 }).requests).not.toEqual(data.requests);
  });

  it('have ids as the relay makes them, dated by what they stand for', () => {
    for (const { id, admitted_at: at } of data.requests) {
      if (typeof id !== 'string' || !isId('request', id)) throw new Error(`no id: ${id}`);
      expect(timeOfId(id)).toBe(at);
      expect(at).toBeLessThan(END);
    }
    expect(new Set(data.requests.map(({ id }) => id)).size).toBe(500);
    const bytes = new Uint8Array(10).map((_, index) => index);
    let byte = -1;
    const counting = () => {
      byte += 1;
      return byte / 256;
    };
    expect(newId('req', END, counting)).toBe(newDomainId('request', END, bytes));
  });

  it('have sums that come to the log and as much again', () => {
    const sum = (rows: readonly Row[], name: string) =>
      rows.reduce((total, row) => total + Number(row[name]), 0);
    const firstLogged = END - 30 * 24 * 3_600_000;
    const ofLog = data.rollups.filter(({ slot }) => Number(slot) >= firstLogged);
    for (const name of ['cost_nanos', 'input_tokens', 'cache_read_tokens', 'output_tokens']) {
      expect(sum(ofLog, name)).toBe(sum(data.requests, name));
    }
    expect(sum(ofLog, 'requests')).toBe(500);
    expect(sum(data.rollups, 'requests')).toBe(1_000);
    for (const { requests, total_histogram: total, first_byte_histogram: first } of data.rollups) {
      for (const histogram of [total, first]) {
        const counts = JSON.parse(String(histogram)) as number[];
        expect(counts.reduce((all, count) => all + count, 0)).toBe(requests);
      }
    }
  });

  it('have sums by hours and days that come to those by quarters', () => {
    const totals = (rows: readonly Row[]) =>
      Object.fromEntries(
        ['requests', 'cost_nanos', 'input_tokens', 'output_tokens'].map((name) => [
          name,
          rows.reduce((sum, row) => sum + Number(row[name]), 0),
        ]),
      );
    const whole = totals(data.rollups);
    for (const hours of BLOCK_HOURS) {
      const blocks = data.usage_totals.filter((row) => row['hours'] === hours);
      expect(totals(blocks)).toEqual(whole);
      for (const { starts_at: at } of blocks) expect(Number(at) % (hours * 3_600_000)).toBe(0);
    }
    expect(totals(data.usage_days)).toEqual(whole);
    const isFine = ({ closing }: Row) => FINE_CLOSINGS.some((fine) => fine === closing);
    const failed = data.rollups.filter((row) => !isFine(row));
    expect(data.usage_days.reduce((sum, { errors }) => sum + Number(errors), 0)).toBe(
      totals(failed)['requests'],
    );
    for (const { requests, total_histogram: total } of [...data.usage_totals, ...data.usage_days]) {
      const counts = Object.values(JSON.parse(String(total)) as Record<string, number>);
      expect(counts.reduce((all, count) => all + count, 0)).toBe(requests);
    }
  });

  it('make nobody an admin, and nobody who can log in', () => {
    expect(new Set(data.users.map(({ role }) => role))).toEqual(new Set(['user']));
    expect(new Set(data.users.map(({ password }) => password))).toEqual(new Set(['-']));
  });
});

describe('a bucket', () => {
  it('is the one of the rollups', () => {
    const random = randomOf(1);
    for (let n = 0; n < 2_000; n += 1) {
      const ms = Math.floor(random() ** 4 * 4_194_303);
      expect(bucketOf(ms)).toBe(domainBucketOf(ms));
    }
  });
});
