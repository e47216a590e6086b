// Who wants more than was paid for: crowds of requests whose true usage passes the bounds that they
// are held by, through the whole relay. What they get once is said in docs/money.md; here it is
// measured, and that they do not get it twice. The upstream counts as each attack tells it to.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { creditCall } from '../../tests/support/ledger';
import type { Called, RelayedWallet } from '../../tests/workerd/relayed';
import { infoOfKey, relayedWallet, scriptUpstream, send } from '../../tests/workerd/relayed';
import type { KeyInfo } from '../domain/ledger/calls';
import { KNOWN_OPEN_MAX } from '../domain/ledger/conversation';
import { nanos, nanosFromDollars } from '../domain/money';

const CROWD = 50;
/** Opus 5.5, in nano-dollars a token: a write of the 5-minute cache, the dearest that is told. */
const WRITE_NANOS = 5_000;
const SEARCH_NANOS = 10_000_000;
const OPUS = 'claude-opus-5-5';

afterEach(() => vi.restoreAllMocks());

/** What an upstream is told to count for a body. */
interface Counts {
  readonly promptTokens: number;
  /** That serves it; Opus 5.5. */
  readonly model?: string;
  readonly searches?: number;
}

/** One attack: requests, and what the upstream counts for each. */
interface Attack {
  readonly bodies: readonly string[];
  /** One for all, or one each. */
  readonly session: (n: number) => string;
  readonly count: (body: string) => Counts;
}

interface Wave {
  readonly admitted: number;
  /** What was spent above the balance. */
  readonly overspendNanos: number;
  readonly overrunNanos: number;
  readonly spentNanos: number;
}

/** Sends all at once; the upstream answers nobody before the last one was let in or refused. */
async function wave(wallet: RelayedWallet, { bodies, session, count }: Attack): Promise<Wave> {
  const before = await settled(wallet);
  let decided = 0;
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const note = (): void => {
    decided += 1;
    if (decided === bodies.length) open();
  };
  let admitted = 0;
  const script = async ({ body }: Called): Promise<Response> => {
    admitted += 1;
    note();
    await gate;
    return answer(count(body));
  };
  scriptUpstream(new Map([['attack', script]]));
  const statuses = await Promise.all(
    bodies.map(async (body, n) => {
      const sent = send(wallet, { body, session: session(n) });
      const response = await sent.response;
      if (response.status !== 200) note();
      await response.text();
      await sent.finished();
      return response.status;
    }),
  );
  expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([]);
  const after = await settled(wallet);
  const spentNanos = before.balanceNanos - after.balanceNanos;
  const overspendNanos = Math.max(0, spentNanos - Math.max(0, before.balanceNanos));
  const overrunNanos = overrunIn(after) - overrunIn(before);
  return { admitted, overspendNanos, overrunNanos, spentNanos };
}

function answer({ promptTokens, searches = 0, model = OPUS }: Counts): Response {
  const usage = {
    input_tokens: 0,
    cache_creation_input_tokens: promptTokens,
    output_tokens: 1,
    ...(searches === 0 ? {} : { server_tool_use: { web_search_requests: searches } }),
  };
  const content = [{ type: 'text', text: 'x' }];
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model, content, usage };
  // Of a known length, so that it is read whole.
  const headers = { 'content-length': String(JSON.stringify(message).length) };
  return Response.json(message, { headers });
}

async function settled(wallet: RelayedWallet): Promise<KeyInfo> {
  const info = await infoOfKey(wallet);
  expect(info).toMatchObject({ openRequests: 0, heldNanos: 0 });
  return info;
}

function overrunIn({ overrunNanos = nanos(0) }: KeyInfo): number {
  return overrunNanos;
}

/** A request for one whole answer of one token: nothing but its input costs. */
function bodyOf(content: unknown, more: Readonly<Record<string, unknown>> = {}): string {
  const messages = [{ role: 'user', content }];
  return JSON.stringify({ model: OPUS, max_tokens: 1, mark: 'attack', messages, ...more });
}

function crowdOf(body: string): readonly string[] {
  return Array.from({ length: CROWD }, () => body);
}

function bytesOf(body: string): number {
  return new TextEncoder().encode(body).byteLength;
}

/** From whatever balance to this much. */
async function topUp(wallet: RelayedWallet, dollars: number): Promise<void> {
  const { balanceNanos } = await settled(wallet);
  const amountNanos = nanos(nanosFromDollars(dollars) - balanceNanos);
  const entryId = `txn_top_up_${Date.now()}_${balanceNanos}`;
  await wallet.ledger.credit(creditCall(entryId, { kind: 'adjust', amountNanos }));
}

interface Plan {
  readonly attack: Attack;
  /** Balance before the first wave and before the second. */
  readonly dollars: number;
  readonly dollarsAfter: number;
  /** What one of them costs. */
  readonly trueNanos: number;
  /** What the first wave spends above the balance, in hundredths of it: told in docs/money.md. */
  readonly overspendPercent: number;
}

/**
 * The first wave passes its bounds by no more than what is in flight costs, and all of that is
 * reported; a debt lets nothing through; then the wallet is wary, and a second wave gets nothing.
 */
async function expectOnce(wallet: RelayedWallet, plan: Plan): Promise<Wave> {
  const { attack, dollars, dollarsAfter, trueNanos, overspendPercent } = plan;
  await topUp(wallet, dollars);
  const first = await wave(wallet, attack);
  const times = first.overspendNanos / nanosFromDollars(dollars);
  expect(Math.round(times * 100)).toBe(overspendPercent);
  expect(first.overspendNanos).toBeLessThanOrEqual(first.overrunNanos);
  expect(first.overrunNanos).toBeLessThan(first.admitted * trueNanos);
  expect(await wave(wallet, attack)).toMatchObject({ admitted: 0, spentNanos: 0 });
  await topUp(wallet, dollarsAfter);
  const second = await wave(wallet, attack);
  expect(second.admitted).toBeGreaterThan(0);
  expect(second).toMatchObject({ overspendNanos: 0, overrunNanos: 0 });
  return first;
}

describe('one warmed session', () => {
  it('that fifty use at once with new dense text is known for one of them alone', async () => {
    const wallet = await relayedWallet();
    const session = (): string => 'warmed';
    const light = [bodyOf('word '.repeat(8_000))];
    await wave(wallet, { bodies: light, session, count: () => ({ promptTokens: 8_000 }) });
    const body = bodyOf('q7'.repeat(30_000));
    const attack = { bodies: crowdOf(body), session, count: denseText };
    const trueNanos = bytesOf(body) * WRITE_NANOS;
    const plan = { attack, dollars: 5, dollarsAfter: 5, trueNanos, overspendPercent: 86 };
    const { admitted } = await expectOnce(wallet, plan);
    // All others at half a token a byte, 2,000 tokens and one of output.
    const coldNanos = (Math.ceil(bytesOf(body) / 2) + 2_000) * WRITE_NANOS + 20_000;
    expect(admitted).toBeLessThanOrEqual(1 + Math.floor(5e9 / coldNanos));
  });
});

describe('fifty warmed sessions', () => {
  it(`pass the bound of a known conversation ${KNOWN_OPEN_MAX} at a time`, async () => {
    const wallet = await relayedWallet();
    const session = (n: number): string => `warmed-${n}`;
    const light = crowdOf(bodyOf('international '.repeat(4_286)));
    await wave(wallet, { bodies: light, session, count: () => ({ promptTokens: 4_300 }) });
    const body = bodyOf('q7'.repeat(30_000));
    const attack = { bodies: crowdOf(body), session, count: denseText };
    const trueNanos = bytesOf(body) * WRITE_NANOS;
    const plan = { attack, dollars: 0.5, dollarsAfter: 5, trueNanos, overspendPercent: 381 };
    const { admitted } = await expectOnce(wallet, plan);
    expect(admitted).toBe(KNOWN_OPEN_MAX);
  });
});

describe('media', () => {
  const item = (media_type: string) => {
    const source = { type: 'base64', media_type, data: 'iVBORw0KGgo=' };
    return { type: media_type === 'application/pdf' ? 'document' : 'image', source };
  };
  const inResults = (media_type: string, count: number): string => {
    const content = Array.from({ length: count }, () => item(media_type));
    return bodyOf([{ type: 'tool_result', tool_use_id: 'toolu_1', content }]);
  };

  it('of a known conversation that are replaced by dearer ones pass it for one request', async () => {
    const wallet = await relayedWallet();
    const session = (): string => 'shown';
    const icons = [bodyOf(Array.from({ length: 100 }, () => item('image/png')))];
    await wave(wallet, { bodies: icons, session, count: () => ({ promptTokens: 10_000 }) });
    const bodies = crowdOf(inResults('image/png', 100));
    const attack = { bodies, session, count: () => ({ promptTokens: 500_000 }) };
    const trueNanos = 500_000 * WRITE_NANOS;
    const plan = { attack, dollars: 2.8, dollarsAfter: 12, trueNanos, overspendPercent: 79 };
    const { overspendNanos } = await expectOnce(wallet, plan);
    expect(overspendNanos).toBeLessThan(trueNanos);
  });

  it('that are documents of many pages pass their bounds once, known or not', async () => {
    const wallet = await relayedWallet();
    const bodies = crowdOf(inResults('application/pdf', 1));
    const session = (n: number): string => `pages-${n}`;
    await wave(wallet, { bodies, session, count: () => ({ promptTokens: 2_000 }) });
    const attack = { bodies, session, count: () => ({ promptTokens: 1_000_000 }) };
    const trueNanos = 1_000_000 * WRITE_NANOS;
    const plan = { attack, dollars: 5, dollarsAfter: 12, trueNanos, overspendPercent: 800 };
    await expectOnce(wallet, plan);
  });
});

describe('server tools', () => {
  it('whose results are far longer than what is held for them pass their bounds once', async () => {
    const wallet = await relayedWallet();
    const tools = [{ type: 'web_fetch_20260318', name: 'web_fetch', max_uses: 1 }];
    const bodies = crowdOf(bodyOf('fetch', { tools }));
    const session = (n: number): string => `fetch-${n}`;
    const count = (): Counts => ({ promptTokens: 1_000_000, searches: 1 });
    const trueNanos = 1_000_000 * WRITE_NANOS + SEARCH_NANOS;
    const plan = {
      attack: { bodies, session, count },
      dollars: 5,
      dollarsAfter: 12,
      trueNanos,
      overspendPercent: 702,
    };
    await expectOnce(wallet, plan);
  });
});

describe('text near a token a byte', () => {
  it.each([
    ['CJK', '鬱龘麤籲靐齉', 84],
    ['emoji', '👩🏽‍🚀🏳️‍🌈👨‍👩‍👧‍👦🫱🏿‍🫲🏻', 75],
  ])('passes half a token a byte once: %s', async (name, text, overspendPercent) => {
    const wallet = await relayedWallet();
    const body = bodyOf(text.repeat(3_000));
    const session = (n: number): string => `${name}-${n}`;
    const attack = { bodies: crowdOf(body), session, count: denseText };
    const trueNanos = bytesOf(body) * WRITE_NANOS;
    const plan = { attack, dollars: 5, dollarsAfter: 5, trueNanos, overspendPercent };
    const { admitted } = await expectOnce(wallet, plan);
    expect(admitted).toBeGreaterThan(1);
  });
});

describe('another model', () => {
  it('that a request names for its fallback and that serves it makes no attack repeatable', async () => {
    const wallet = await relayedWallet();
    const fallbacks = [{ model: 'claude-opus-4-8' }];
    const body = bodyOf('q7'.repeat(30_000), { fallbacks });
    const session = (n: number): string => `fallback-${n}`;
    const count = (): Counts => ({ promptTokens: bytesOf(body), model: 'claude-opus-4-8' });
    const attack = { bodies: crowdOf(body), session, count };
    const trueNanos = bytesOf(body) * 6_250;
    const plan = { attack, dollars: 5, dollarsAfter: 5, trueNanos, overspendPercent: 80 };
    await expectOnce(wallet, plan);
  });
});

describe('a low balance', () => {
  it('lets in one request at a time, which passes it by no more than its own cost', async () => {
    const wallet = await relayedWallet();
    const body = bodyOf('q7'.repeat(30_000));
    const session = (n: number): string => `low-${n}`;
    const attack = { bodies: crowdOf(body), session, count: denseText };
    const trueNanos = bytesOf(body) * WRITE_NANOS;
    const plan = { attack, dollars: 0.12, dollarsAfter: 5, trueNanos, overspendPercent: 150 };
    const { admitted } = await expectOnce(wallet, plan);
    expect(admitted).toBe(1);
  });
});

/** One token a byte: nothing that a tokenizer makes of text is more. */
function denseText(body: string): Counts {
  return { promptTokens: bytesOf(body) };
}
