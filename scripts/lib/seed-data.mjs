// What `npm run seed` writes: people, keys, requests and their sums, all made from one number, so
// that the same seed and the same end make the same rows. It writes nothing itself. Ids and buckets
// are those of workers/domain, held to them by a test.

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const ID_LENGTH = 22;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SLOT_MS = HOUR_MS / 4;
/** The log keeps 30 days; sums are kept for good. */
const LOG_DAYS = 30;
const SUM_DAYS = 90;
/** Those of workers/domain/usage/blocks.ts. */
const BLOCK_HOURS = [1, 6, 24];
const BUCKETS = 84;
const BURST_REQUESTS = 8;

const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu'];
const REGIONS = ['weur', 'enam', 'apac'];
/** Model, price row, pico-dollars a token: uncached input, cache read, output. */
const MODELS = /** @type {const} */ ([
  ['claude-opus-5-5', 'claude-opus-5-5@1970-01-01', 4_000_000, 200_000, 20_000_000],
  ['claude-sonnet-5-5', 'claude-sonnet-5-5@2026-10-07', 2_000_000, 100_000, 10_000_000],
  ['claude-haiku-5-5', 'claude-haiku-5-5@1970-01-01', 100_000, 10_000, 500_000],
]);

/**
 * @typedef {object} Wanted
 * @property {number} seed
 * @property {number} endAt Unix ms: the last request comes in before it
 * @property {number} users
 * @property {number} requests lines of the log; as many more stand in older sums alone
 *
 * @typedef {Record<string, string | number | null>} Row by column
 *
 * @typedef {object} Seeded rows by table
 * @property {readonly Row[]} users
 * @property {readonly Row[]} wallets
 * @property {readonly Row[]} keys
 * @property {readonly Row[]} balances
 * @property {readonly Row[]} requests
 * @property {readonly Row[]} rollups
 * @property {readonly Row[]} usage_totals sums of the rollups, all of them
 * @property {readonly Row[]} usage_days
 */

/** @param {Wanted} wanted @returns {Seeded} */
export function seedData({ seed, endAt, users, requests }) {
  const random = randomOf(seed);
  const people = Array.from({ length: users }, (_, n) => person(n, { endAt, random }));
  const accounts = [0, 1].map(() => newId('acc', endAt - SUM_DAYS * DAY_MS, random));
  const sums = /** @type {Map<string, Sum>} */ (new Map());
  /** @param {number} count @param {number} from @param {number} to */
  const make = (count, from, to) => {
    const lines = /** @type {Row[]} */ ([]);
    while (lines.length < count) {
      lines.push(...burst({ people, accounts, from, to, random }).slice(0, count - lines.length));
    }
    for (const line of lines) addToSum(sums, line);
    return lines;
  };
  const logged = make(requests, endAt - LOG_DAYS * DAY_MS, endAt);
  make(requests, endAt - SUM_DAYS * DAY_MS, endAt - LOG_DAYS * DAY_MS);
  const quarters = [...sums.values()];
  return {
    users: people.map(({ user }) => user),
    wallets: people.map(({ wallet }) => wallet),
    keys: people.flatMap(({ keys }) => keys),
    balances: people.map(({ wallet }) => ({
      wallet_id: wallet['id'] ?? '',
      balance_nanos: Math.floor(random() * 50_000_000_000),
      as_of: endAt,
    })),
    requests: logged,
    rollups: quarters.map(rollupOf),
    usage_totals: BLOCK_HOURS.flatMap((hours) => summed(quarters, blockOf(hours))).map(sumOf),
    usage_days: summed(quarters, dayOf).map(sumOf),
  };
}

/**
 * An id as workers/domain/ids.ts makes it.
 * @param {string} prefix @param {number} at Unix ms @param {() => number} random
 */
export function newId(prefix, at, random) {
  let value = BigInt(Math.floor(at));
  for (let byte = 0; byte < 10; byte += 1) value = value * 256n + BigInt(randomByte(random));
  let text = '';
  for (; value > 0n; value /= 58n) text = ALPHABET.charAt(Number(value % 58n)) + text;
  return `${prefix}_${text.padStart(ID_LENGTH, '1')}`;
}

/** The bucket of workers/domain/usage/histogram.ts. @param {number} ms whole, 0 to 4,194,303 */
export function bucketOf(ms) {
  if (ms < 8) return ms;
  const exponent = 31 - Math.clz32(ms);
  return 8 + (exponent - 3) * 4 + ((ms >> (exponent - 2)) & 3);
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). @param {number} seed */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @param {() => number} random */
function randomByte(random) {
  return Math.floor(random() * 256);
}

/** @template T @param {readonly T[]} items @param {() => number} random @returns {T} */
function oneOf(items, random) {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('nothing to choose from');
  return item;
}

/**
 * Somebody who cannot log in: there is no such password.
 * @param {number} n @param {{ endAt: number, random: () => number }} made
 */
function person(n, { endAt, random }) {
  const at = Math.floor(endAt - (SUM_DAYS + 30 * random()) * DAY_MS);
  const [userId, walletId] = [newId('usr', at, random), newId('wal', at, random)];
  const common = { version: at, created_at: at };
  const keys = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, key) => {
    const id = newId('key', at + key, random);
    return {
      id,
      wallet_id: walletId,
      user_id: userId,
      name: `key ${key + 1}`,
      hash: `seeded-${id}`,
      tag_version: '1',
      status: 'active',
      ...common,
    };
  });
  const number = String(n + 1).padStart(4, '0');
  return {
    user: {
      id: userId,
      email: `seed-${number}@example.com`,
      name: `Seeded ${number}`,
      role: 'user',
      password: '-',
      status: 'active',
      time_zone: oneOf(ZONES, random),
      ...common,
    },
    wallet: {
      id: walletId,
      user_id: userId,
      region: oneOf(REGIONS, random),
      status: 'active',
      ...common,
    },
    keys,
  };
}

/**
 * Requests of one key, some seconds apart, as an agent sends them.
 * @param {{ people: readonly ReturnType<typeof person>[], accounts: readonly string[],
 *   from: number, to: number, random: () => number }} made
 * @returns {Row[]}
 */
function burst({ people, accounts, from, to, random }) {
  // A few people do most of it.
  const who = people[Math.floor(people.length * random() ** 2)] ?? oneOf(people, random);
  const key = oneOf(who.keys, random);
  const model = oneOf(MODELS, random);
  const session = newId('ses', from, random).slice(4);
  const account = oneOf(accounts, random);
  const length = 1 + Math.floor(random() * (2 * BURST_REQUESTS - 1));
  let at = from + Math.floor(random() * (to - from - HOUR_MS));
  return Array.from({ length }, () => {
    at += 1_000 + Math.floor(random() * 30_000);
    const owner = { wallet_id: key.wallet_id, user_id: key.user_id, key_id: key.id };
    return {
      id: newId('req', at, random),
      admitted_at: at,
      ...owner,
      ...line(model, random),
      account_id: account,
      session,
    };
  });
}

/** @param {(typeof MODELS)[number]} model @param {() => number} random @returns {Row} */
function line([model, price, inputPicos, readPicos, outputPicos], random) {
  const closing = closingOf(random());
  const isPaid = closing === 'completed' || closing === 'client-left';
  const input = isPaid ? Math.floor(random() * 4_000) : 0;
  const cacheRead = isPaid ? Math.floor(random() * 90_000) : 0;
  const output = isPaid ? Math.floor(random() * 3_000) : 0;
  const picos = input * inputPicos + cacheRead * readPicos + output * outputPicos;
  const firstByteMs = 200 + Math.floor(random() ** 3 * 8_000);
  return {
    model,
    price_id: price,
    closing,
    certainty: closing === 'client-left' ? 'estimated' : 'reported',
    status: closing === 'upstream-failed' ? 529 : closing === 'upstream-refused' ? 400 : 200,
    input_tokens: input,
    cache_write_5m_tokens: 0,
    cache_write_1h_tokens: 0,
    cache_read_tokens: cacheRead,
    output_tokens: output,
    web_searches: 0,
    cost_nanos: Math.ceil(picos / 1_000),
    admit_ms: 2 + Math.floor(random() * 20),
    first_byte_ms: firstByteMs,
    total_ms: firstByteMs + output * 15,
    flags: '[]',
    attempts: '[]',
  };
}

/** @param {number} chance */
function closingOf(chance) {
  if (chance < 0.94) return 'completed';
  if (chance < 0.97) return 'client-left';
  return chance < 0.99 ? 'upstream-failed' : 'upstream-refused';
}

const SUMMED = /** @type {const} */ ([
  'input_tokens',
  'cache_write_5m_tokens',
  'cache_write_1h_tokens',
  'cache_read_tokens',
  'output_tokens',
  'web_searches',
  'cost_nanos',
]);

/** @typedef {{ row: Row, total: number[], first: number[] }} Sum */

/**
 * Sums of `sums`: `partOf` says of which row each is a part, and with what beside its figures.
 * @param {readonly Sum[]} sums @param {(row: Row) => { key: Row, more?: Row }} partOf
 * @returns {Sum[]}
 */
function summed(sums, partOf) {
  const found = /** @type {Map<string, Sum>} */ (new Map());
  for (const { row, total, first } of sums) {
    const { key, more = {} } = partOf(row);
    const added = { ...more, ...figuresOf(row) };
    const name = Object.values(key).join(' ');
    const sum = found.get(name);
    if (sum === undefined) {
      found.set(name, { row: { ...key, ...added }, total: [...total], first: [...first] });
      continue;
    }
    for (const [column, figure] of Object.entries(added)) {
      sum.row[column] = Number(sum.row[column]) + Number(figure);
    }
    addBuckets(sum.total, total);
    addBuckets(sum.first, first);
  }
  return [...found.values()];
}

/** @param {Row} row @returns {Row} */
function figuresOf(row) {
  const names = ['requests', ...SUMMED];
  return Object.fromEntries(names.map((name) => [name, row[name] ?? 0]));
}

/** As usage_totals has them. @param {number} hours @returns {(row: Row) => { key: Row }} */
function blockOf(hours) {
  return ({ slot, model = '', account_id = '', closing = '' }) => ({
    key: { hours, starts_at: startOf(slot, hours * HOUR_MS), model, account_id, closing },
  });
}

/** As usage_days has them. @param {Row} row @returns {{ key: Row, more: Row }} */
function dayOf({ slot, user_id = '', key_id = '', closing, requests = 0 }) {
  const isFine = closing === 'completed' || closing === 'client-left';
  return {
    key: { day: startOf(slot, DAY_MS), user_id, key_id },
    more: { errors: isFine ? 0 : requests },
  };
}

/** @param {unknown} at @param {number} lengthMs */
function startOf(at, lengthMs) {
  return Number(at) - (Number(at) % lengthMs);
}

/** @param {number[]} sum @param {readonly number[]} histogram */
function addBuckets(sum, histogram) {
  for (const [bucket, count] of histogram.entries()) sum[bucket] = (sum[bucket] ?? 0) + count;
}

/** @param {Map<string, Sum>} sums @param {Row} request */
function addToSum(sums, request) {
  const at = Number(request['admitted_at']);
  const named = {
    slot: at - (at % SLOT_MS),
    user_id: request['user_id'] ?? '',
    key_id: request['key_id'] ?? '',
    model: request['model'] ?? '',
    account_id: request['account_id'] ?? '',
    closing: request['closing'] ?? '',
  };
  const key = Object.values(named).join(' ');
  let sum = sums.get(key);
  if (sum === undefined) {
    const zeros = Object.fromEntries(SUMMED.map((name) => [name, 0]));
    const none = () => Array.from({ length: BUCKETS }, () => 0);
    sum = { row: { ...named, requests: 0, ...zeros }, total: none(), first: none() };
    sums.set(key, sum);
  }
  const { row, total, first } = sum;
  row['requests'] = Number(row['requests']) + 1;
  for (const name of SUMMED) row[name] = Number(row[name]) + Number(request[name]);
  countIn(total, request['total_ms']);
  countIn(first, request['first_byte_ms']);
}

/** @param {number[]} histogram @param {unknown} ms */
function countIn(histogram, ms) {
  const bucket = bucketOf(Number(ms));
  histogram[bucket] = (histogram[bucket] ?? 0) + 1;
}

/** @param {Sum} sum @returns {Row} */
function rollupOf({ row, total, first }) {
  return {
    ...row,
    total_histogram: JSON.stringify(total),
    first_byte_histogram: JSON.stringify(first),
  };
}

/** Of what is made of rollups only buckets that count something are kept. @param {Sum} sum */
function sumOf({ row, total, first }) {
  /** @param {readonly number[]} histogram */
  const kept = (histogram) =>
    JSON.stringify(Object.fromEntries([...histogram.entries()].filter(([, count]) => count > 0)));
  return { ...row, total_histogram: kept(total), first_byte_histogram: kept(first) };
}
