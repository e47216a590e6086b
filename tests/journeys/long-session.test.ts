// A long conversation over five accounts, as Claude Code leads one: it stays where its prompt cache
// is, moves once when that account goes away, and stays there when it has come back. What the move
// cost stands in the account's report.

import { setTimeout as pause } from 'node:timers/promises';
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { AccountDay, AccountDays } from '../../workers/control/contract/account-days';
import type { OwnRequestTold, RequestDetail } from '../../workers/control/contract/requests';
import { beginning, ending, events, json, message, MODEL } from '../support/answers';
import { ask, send } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

const TURNS = 50;
const KILLED_AT = 25;
const BACK_AT = 35;
const NAMES = ['a', 'b', 'c', 'd', 'e'];
/** Of the model that is asked, in nano-dollars a token: its 5-minute write, its read. */
const WRITE_NANOS = 5_000;
const READ_NANOS = 200;
const BYTES_PER_TOKEN = 4;

const relay = inject('relay');
let owner: Owner;
let five: Own;
beforeAll(async () => {
  owner = await ownerOfAccounts();
  five = await owner.own(NAMES, { priority: 100 });
  await owner.known();
});
afterAll(() => owner.end());

interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: unknown;
}

/** Reads what this account has written before, writes the rest, and says so. */
function cachingUpstream(): Answer {
  const cached = new Map<string, number>();
  return (response, seen) => {
    const { messages } = JSON.parse(seen.body.toString()) as { readonly messages: readonly Turn[] };
    const promptTokens = Math.ceil(JSON.stringify(messages).length / BYTES_PER_TOKEN);
    const read = Math.min(cached.get(seen.account) ?? 0, promptTokens);
    cached.set(seen.account, promptTokens);
    const written = promptTokens - read;
    const usage = {
      input_tokens: 3,
      cache_read_input_tokens: read,
      cache_creation_input_tokens: written,
      output_tokens: 20,
    };
    const lifetimes = { ephemeral_5m_input_tokens: written, ephemeral_1h_input_tokens: 0 };
    const start = { ...usage, cache_creation: lifetimes, output_tokens: 1 };
    const text = beginning(`answer ${messages.length}`, { usage: start }) + ending(usage);
    return events(text)(response, seen);
  };
}

/** Who answered each turn. */
const served: string[] = [];

test('fifty turns stay with one account, and move once when it goes away', async () => {
  five.upstream.on(MODEL, cachingUpstream());
  const client = new Anthropic({
    apiKey: five.key,
    authToken: null,
    baseURL: relay.url,
    maxRetries: 0,
    defaultHeaders: { 'x-claude-code-session-id': 'a-long-session' },
  });
  const messages: Anthropic.MessageParam[] = [];
  for (let turn = 1; turn <= TURNS; turn += 1) {
    const [first = ''] = served;
    if (turn === KILLED_AT) await five.upstream.close([first]);
    if (turn === BACK_AT) await five.upstream.open([first]);
    const text = `turn ${turn} ${'of many words '.repeat(100)}`;
    const cache_control = { type: 'ephemeral' } as const;
    const asked: Anthropic.MessageParam = {
      role: 'user',
      content: [{ type: 'text', text, cache_control }],
    };
    const answer = await client.messages
      .stream({ model: MODEL, max_tokens: 100, messages: [...messages, asked] })
      .finalMessage();
    const [block] = answer.content;
    expect(block).toMatchObject({ type: 'text', text: `answer ${2 * turn - 1}` });
    messages.push({ role: 'user', content: [{ type: 'text', text }] });
    messages.push({ role: 'assistant', content: answer.content });
    served.push(five.upstream.seen(MODEL).at(-1)?.account ?? '');
  }
  expect(five.upstream.seen(MODEL)).toHaveLength(TURNS);
  const [first = ''] = served;
  const second = served[KILLED_AT - 1] ?? '';
  expect(second).not.toBe(first);
  const before = Array.from({ length: KILLED_AT - 1 }, () => first);
  const after = Array.from({ length: TURNS - KILLED_AT + 1 }, () => second);
  expect(served).toEqual([...before, ...after]);
});

/** All requests of the session, the oldest first. */
async function rows(): Promise<readonly RequestDetail[]> {
  const path = '/api/relay/requests?limit=100';
  const { items } = await owner.admin.call<{ items: readonly OwnRequestTold[] }>('GET', path);
  const own = items.filter(({ session }) => session === 'a-long-session').toReversed();
  return Promise.all(
    own.map(({ id }) => owner.admin.call<RequestDetail>('GET', `/api/relay/requests/${id}`)),
  );
}

let movedNanos = 0;

test('the one turn that moved tells what the cache it left behind had cost', async () => {
  const all = await rows();
  expect(all).toHaveLength(TURNS);
  const moved = all.filter((row) => row.movedNanos > 0);
  expect(moved.map((row) => all.indexOf(row) + 1)).toEqual([KILLED_AT]);
  const [row] = moved;
  expect(row?.attempts.map(({ outcome }) => outcome)).toEqual(['unreachable', 'answered']);
  // Whatever the last turn had in the cache was written again where it could have been read.
  const lost =
    (all[KILLED_AT - 2]?.tokens.cacheRead ?? 0) + (all[KILLED_AT - 2]?.tokens.cacheWrite5m ?? 0);
  movedNanos = row?.movedNanos ?? 0;
  expect(movedNanos).toBe(lost * (WRITE_NANOS - READ_NANOS));
});

const FLUSHED_WITHIN_MS = 100_000;
/** With so many rows a wallet's batch is cut at once, and not after a minute. */
const BATCH_ROWS = 500;
const AT_ONCE = 20;
const FILLER = 'one of many that fill a batch';

/** Fills the wallet's batch with requests of other conversations. */
async function fillBatch(): Promise<void> {
  five.upstream.on(FILLER, json(message('fine')));
  for (let sent = 0; sent < BATCH_ROWS; sent += AT_ONCE) {
    const body = ask(FILLER);
    const wave = Array.from({ length: AT_ONCE }, () =>
      send('/api/v1/messages', { key: five.key, body }),
    );
    for (const { status } of await Promise.all(wave)) expect(status).toBe(200);
  }
}

const LOOK_EVERY_MS = 1_000;

test(
  'the report of the days shows the move and its cost, and no other',
  async () => {
    expect(movedNanos).toBeGreaterThan(0);
    await fillBatch();
    const deadline = Date.now() + FLUSHED_WITHIN_MS;
    let days: readonly AccountDay[] = [];
    const isThere = (): boolean => days.reduce((sum, { requests }) => sum + requests, 0) >= TURNS;
    while (!isThere() && Date.now() < deadline) {
      await pause(LOOK_EVERY_MS);
      const told = await Promise.all(
        NAMES.map((name) =>
          owner.admin.call<AccountDays>('GET', `/admin/accounts/${five.ids[name]}/days`),
        ),
      );
      days = told.flatMap(({ items }) => items);
    }
    const sumOf = (figure: 'requests' | 'moves' | 'movedNanos' | 'absorbedAttempts'): number =>
      days.reduce((sum, day) => sum + day[figure], 0);
    expect(sumOf('requests')).toBeGreaterThanOrEqual(TURNS);
    expect([sumOf('moves'), sumOf('movedNanos')]).toEqual([1, movedNanos]);
    expect(sumOf('absorbedAttempts')).toBe(0);
    const sessionAccounts = new Set<string | undefined>(served.map((name) => five.ids[name]));
    expect(sessionAccounts.size).toBe(2);
    const hits = days
      .filter(({ accountId }) => sessionAccounts.has(accountId))
      .map(({ cacheHitShare }) => cacheHitShare);
    // Each account wrote the prompt once, and read it from then on.
    for (const share of hits) expect(share).toBeGreaterThan(0.8);
  },
  FLUSHED_WITHIN_MS + 20_000,
);
