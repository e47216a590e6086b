// Usage figures that an upstream gets wrong, by mistake or on purpose: nothing is ever credited,
// nothing is free, and what was served is what is paid, to the nano-dollar, as JSON and as a
// stream.

import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Fields } from '../support/answers';
import { beginning, ending, events, json, message, stream, USAGE_NANOS } from '../support/answers';
import { ask, costOf, send } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import { FakeUpstream } from '../support/fake-upstream';

const relay = inject('relay');
const key = relay.keys.money;
const upstream = new FakeUpstream(relay.accounts);
beforeAll(() => upstream.open());
afterAll(() => upstream.close());

/** Of Opus 5.5, in nano-dollars a token. */
const INPUT_NANOS = 4_000;
const WRITE_NANOS = 5_000;
const OUTPUT_NANOS = 20_000;

const WORDS = 'so many words';
/** What is guessed of WORDS: three bytes a token. */
const GUESSED_NANOS = 5 * OUTPUT_NANOS;
/** Twice the dearest Opus, of 1,000 tokens in and 1,000 out. */
const UNKNOWN_NANOS = 2 * (15_000_000 + 75_000_000);

interface Case {
  readonly usage: unknown;
  /** Of the answer beside its usage. */
  readonly more?: Fields;
  readonly asked?: Fields;
  /** Without what is guessed of the input. */
  readonly costNanos: number;
  /** The input was not told: it is charged as it most likely was. */
  readonly isInputGuessed?: true;
}

const THOUSAND = { input_tokens: 1_000, output_tokens: 1_000 };
const GUESSED = { costNanos: GUESSED_NANOS, isInputGuessed: true } as const;

const CASES: Readonly<Record<string, Case>> = {
  'all figures below zero': {
    usage: { input_tokens: -1e6, output_tokens: -1e6, cache_read_input_tokens: -1e6 },
    ...GUESSED,
  },
  'figures that are no numbers': { usage: { input_tokens: '9', output_tokens: {} }, ...GUESSED },
  'an input below zero': {
    usage: { input_tokens: -1e6, output_tokens: 500 },
    costNanos: 500 * OUTPUT_NANOS,
    isInputGuessed: true,
  },
  'an output below zero': {
    usage: { input_tokens: 1_000, output_tokens: -500 },
    costNanos: 1_000 * INPUT_NANOS + GUESSED_NANOS,
  },
  'cache reads below zero': {
    usage: { ...THOUSAND, cache_read_input_tokens: -5e6 },
    costNanos: 24_000_000,
  },
  'searches below zero': {
    usage: { ...THOUSAND, server_tool_use: { web_search_requests: -1e6 } },
    costNanos: 24_000_000,
  },
  'more tokens than any model has': {
    usage: { input_tokens: 1e15, output_tokens: 1e15 },
    ...GUESSED,
  },
  'one absurd figure': { usage: { input_tokens: 1_000, output_tokens: 1e300 }, ...GUESSED },
  'no usage': { usage: undefined, ...GUESSED },
  'null for usage': { usage: null, ...GUESSED },
  'a word for usage': { usage: 'none', ...GUESSED },
  'zeros for what was delivered': { usage: { input_tokens: 0, output_tokens: 0 }, ...GUESSED },
  'attempts of nothing': {
    usage: { ...THOUSAND, iterations: [{ type: 'message', input_tokens: 0, output_tokens: 0 }] },
    costNanos: 1_000 * OUTPUT_NANOS,
    isInputGuessed: true,
  },
  'attempts below zero': {
    usage: { ...THOUSAND, iterations: [{ type: 'message', input_tokens: -9, output_tokens: -9 }] },
    costNanos: 1_000 * OUTPUT_NANOS,
    isInputGuessed: true,
  },
  'more attempts than can be': {
    usage: { ...THOUSAND, iterations: Array.from({ length: 2_000 }, () => ({ type: 'message' })) },
    ...GUESSED,
  },
  'a cheaper model than asked': {
    usage: THOUSAND,
    more: { model: 'claude-haiku-5-5' },
    costNanos: 600_000,
  },
  'a dearer model than asked': {
    usage: THOUSAND,
    asked: { model: 'claude-haiku-5-5' },
    costNanos: 24_000_000,
  },
  'a model that nobody knows': {
    usage: THOUSAND,
    more: { model: 'claude-opus-9' },
    costNanos: UNKNOWN_NANOS,
  },
  'fast mode': { usage: { ...THOUSAND, speed: 'fast' }, costNanos: 48_000_000 },
  'the US': { usage: { ...THOUSAND, inference_geo: 'us' }, costNanos: 26_400_000 },
  'batch tier': { usage: { ...THOUSAND, service_tier: 'batch' }, costNanos: 12_000_000 },
  'all three of them': {
    usage: { ...THOUSAND, speed: 'fast', inference_geo: 'us', service_tier: 'batch' },
    costNanos: 26_400_000,
  },
  'an unknown tier': { usage: { ...THOUSAND, service_tier: 'gold' }, costNanos: UNKNOWN_NANOS },
  'an unknown place': { usage: { ...THOUSAND, inference_geo: 'moon' }, costNanos: UNKNOWN_NANOS },
  'an unknown speed': { usage: { ...THOUSAND, speed: 'warp' }, costNanos: UNKNOWN_NANOS },
};

/** What an answer costs that says what the case says. */
async function expectCost(mark: string, found: Case, form: 'JSON' | 'a stream'): Promise<void> {
  const { usage, more, asked, costNanos, isInputGuessed } = found;
  const isStream = form === 'a stream';
  const answer = isStream ? streamOf(found) : json(message(WORDS, { ...more, usage }));
  upstream.on(mark, answer);
  const body = ask(mark, { ...asked, stream: isStream });
  const cost = await costOf(key, async () => {
    const { status } = await send('/api/v1/messages', { key, body });
    expect(status).toBe(200);
  });
  const likely = Math.ceil(Buffer.byteLength(body) / 2.6) * WRITE_NANOS;
  expect(cost).toBe(costNanos + (isInputGuessed ? likely : 0));
}

/** The same said twice, as streams do: at the start, and at the end. */
function streamOf({ usage, more }: Case): Answer {
  const isGiven = typeof usage === 'object' && usage !== null;
  const last = isGiven ? { ...usage } : {};
  return events(beginning(WORDS, { ...more, usage }) + ending(last), 50);
}

describe.each(['JSON', 'a stream'] as const)('%s whose usage tells of', (form) => {
  test.each(Object.keys(CASES))('%s', async (name) => {
    const found = CASES[name];
    if (found === undefined) throw new Error('no such case');
    await expectCost(`hostile ${form}: ${name}`, found, form);
  });
});

test('a document that tells its usage twice is not free', async () => {
  const whole = JSON.stringify(message(WORDS, { usage: THOUSAND }));
  const twice = `${whole.slice(0, -1)},"usage":{"input_tokens":0,"output_tokens":0}}`;
  const mark = 'hostile-doubled-json';
  upstream.on(mark, json(twice));
  const body = ask(mark);
  const likely = Math.ceil(Buffer.byteLength(body) / 2.6) * WRITE_NANOS;
  const cost = await costOf(key, () => send('/api/v1/messages', { key, body }));
  expect(cost).toBe(likely + GUESSED_NANOS);
});

test('a stream that says everything twice is paid once', async () => {
  const mark = 'hostile-doubled-stream';
  upstream.on(mark, events(stream(WORDS) + stream(WORDS)));
  const body = ask(mark, { stream: true });
  expect(await costOf(key, () => send('/api/v1/messages', { key, body }))).toBe(USAGE_NANOS);
});
