// What an upstream can do wrong once its answer has begun: what came is passed on as it came, no
// other account is called any more, a break is told truthfully and what was delivered is paid. An
// account that begins to answer is not held back for how it ends.

import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  beginning,
  breakAfter,
  ending,
  event,
  events,
  gzipJson,
  json,
  message,
  stream,
  USAGE_NANOS,
} from '../support/answers';
import { ask, send } from '../support/client';
import type { Answer } from '../support/fake-upstream';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

/** Of the model that is asked, in nano-dollars a token. */
const WRITE_NANOS = 5_000;
const OUTPUT_NANOS = 20_000;
/** What `beginning` reports of its input, priced. */
const INPUT_NANOS = 12 * 4_000 + 100 * WRITE_NANOS + 200 * 8_000 + 40_000 * 200;
const WORDS = 'half an answer';
const GUESSED_NANOS = Math.ceil(WORDS.length / 3) * OUTPUT_NANOS;
const PART_NANOS = INPUT_NANOS + GUESSED_NANOS;

interface Ends {
  readonly answer: Answer;
  /** What comes through of it, byte for byte; null: the relay's own 502. */
  readonly came: string | Buffer | null;
  /** An error event of the relay follows. */
  readonly isCut?: true;
  readonly closing: 'completed' | 'upstream-failed';
  readonly certainty: 'reported' | 'estimated';
  /** Without what is guessed of an input that nobody told. */
  readonly costNanos: number;
  readonly isInputGuessed?: true;
}

const HALF = beginning(WORDS);
const WHOLE = stream(WORDS);
const ERROR = event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } });
const DONE = { closing: 'completed', certainty: 'reported', costNanos: USAGE_NANOS } as const;
const CUT = { closing: 'upstream-failed', certainty: 'estimated', costNanos: PART_NANOS } as const;
const GUESSED = {
  closing: 'completed',
  certainty: 'estimated',
  costNanos: GUESSED_NANOS,
  isInputGuessed: true,
} as const;

/** `body` under another name than its own. */
function named(type: string, body: string | Buffer): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': type });
    response.end(body);
  };
}

function withUsage(start: unknown, last: Readonly<Record<string, unknown>>): string {
  return beginning(WORDS, { usage: start }) + ending(last);
}

const NEGATIVE = { input_tokens: -1e6, output_tokens: -1e6, cache_read_input_tokens: -1e6 };
const HUGE = { input_tokens: 1e15, output_tokens: 1e15 };
const INVALID = Buffer.concat([
  Buffer.from(HALF),
  Buffer.from('event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'),
  Buffer.from('"delta":{"type":"text_delta","text":"'),
  Buffer.from([0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80]),
  Buffer.from('"}}\n\n'),
  Buffer.from(ending()),
]);
const BY_RETURNS = WHOLE.replaceAll('\n', '\r');

const STREAMS: Readonly<Record<string, Ends>> = {
  'a reset in the middle': { ...CUT, answer: breakAfter(HALF), came: HALF, isCut: true },
  'a reset within an event': {
    ...CUT,
    answer: breakAfter(`${HALF}event: content_block_delta\ndata: {"ty`),
    came: `${HALF}event: content_block_delta\ndata: {"ty`,
    isCut: true,
  },
  'an end without message_stop': { ...CUT, answer: events(HALF), came: HALF, isCut: true },
  'an end in the first event': {
    answer: events('event: message_start\ndata: {"type":"mess'),
    came: 'event: message_start\ndata: {"type":"mess',
    isCut: true,
    closing: 'upstream-failed',
    certainty: 'estimated',
    costNanos: 0,
    isInputGuessed: true,
  },
  'a drip of one byte at a time': { ...DONE, answer: events(WHOLE, 1), came: WHOLE },
  'an error event after message_start': {
    ...CUT,
    answer: events(HALF + ERROR),
    came: HALF + ERROR,
  },
  'an error event in place of message_stop': {
    ...CUT,
    costNanos: USAGE_NANOS,
    answer: events(HALF + ending().replace(/event: message_stop[^]*$/, ERROR)),
    came: HALF + ending().replace(/event: message_stop[^]*$/, ERROR),
  },
  'no usage': {
    ...GUESSED,
    answer: events(withUsage(undefined, {})),
    came: withUsage(undefined, {}),
  },
  'all of it twice': { ...DONE, answer: events(WHOLE + WHOLE), came: WHOLE + WHOLE },
  'usage below zero': {
    ...GUESSED,
    answer: events(withUsage(NEGATIVE, NEGATIVE)),
    came: withUsage(NEGATIVE, NEGATIVE),
  },
  'usage beyond all bounds': {
    ...GUESSED,
    answer: events(withUsage(HUGE, HUGE)),
    came: withUsage(HUGE, HUGE),
  },
  'bytes that are no UTF-8': {
    ...DONE,
    answer: events(INVALID, 5),
    came: INVALID,
  },
  'lines that end with CR alone': { ...DONE, answer: events(BY_RETURNS, 11), came: BY_RETURNS },
  'a byte order mark first': { ...DONE, answer: events(`\uFEFF${WHOLE}`), came: `\uFEFF${WHOLE}` },
  'an answer of no known type': { ...DONE, answer: named('text/plain', WHOLE), came: WHOLE },
  'a whole JSON answer instead': {
    ...DONE,
    answer: json(message(WORDS)),
    came: JSON.stringify(message(WORDS)),
  },
};

const DOCUMENT = JSON.stringify(message(WORDS));
const TRUNCATED = DOCUMENT.slice(0, -40);

/** Promises more than it sends, and breaks. */
const brokenJson: Answer = async (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' });
  await new Promise((resolve) => response.write(TRUNCATED, resolve));
  await setImmediate();
  response.socket?.resetAndDestroy();
};

function saying(usage: unknown): Pick<Ends, 'answer' | 'came'> {
  const document = message(WORDS, { usage });
  return { answer: json(document), came: JSON.stringify(document) };
}

const DOUBLED = `${JSON.stringify(message(WORDS)).slice(0, -1)},"usage":{"output_tokens":0}}`;

const DOCUMENTS: Readonly<Record<string, Ends>> = {
  'a reset in the middle': {
    answer: brokenJson,
    came: null,
    closing: 'upstream-failed',
    certainty: 'reported',
    costNanos: 0,
  },
  'an answer packed with gzip': {
    ...DONE,
    answer: gzipJson(message(WORDS)),
    came: DOCUMENT,
  },
  'no usage': { ...GUESSED, ...saying(undefined) },
  'usage twice': { ...GUESSED, answer: json(DOUBLED), came: DOUBLED },
  'usage below zero': { ...GUESSED, ...saying(NEGATIVE) },
  'usage beyond all bounds': { ...GUESSED, ...saying(HUGE) },
  'a whole stream instead': { ...DONE, answer: events(WHOLE), came: WHOLE },
};

let owner: Owner;
const owns = new Map<string, Own>();
const FORMS = { stream: STREAMS, JSON: DOCUMENTS } as const;
const CASES = [
  ...Object.keys(STREAMS).map((what) => ({ form: 'stream', what }) as const),
  ...Object.keys(DOCUMENTS).map((what) => ({ form: 'JSON', what }) as const),
];

beforeAll(async () => {
  owner = await ownerOfAccounts();
  for (const { form, what } of CASES) owns.set(form + what, await owner.own(['bad', 'good']));
  owns.set('line', await owner.own(['bad', 'good']));
  owns.set('other', await owner.own(['bad', 'good']));
  await owner.known();
}, 60_000);
afterAll(() => owner.end(), 60_000);

function ownOf(name: string): Own {
  const own = owns.get(name);
  if (own === undefined) throw new Error(`nothing was made for ${name}`);
  return own;
}

async function expectUntouched(own: Own, mark: string): Promise<void> {
  expect(own.calls(mark)).toEqual({ bad: 1, good: 0 });
  expect(await own.account('bad')).toMatchObject({ state: 'ready', reasons: [] });
}

describe.concurrent.each(CASES)('$what, asked for as $form', ({ form, what }) => {
  test('reaches the client as it came, and is paid by what was delivered', async () => {
    const found = FORMS[form][what];
    if (found === undefined) throw new Error('no such case');
    const own = ownOf(form + what);
    own.upstream.on('an-answer', found.answer);
    const body = ask('an-answer', { stream: form === 'stream' });
    const reply = await send('/v1/messages', { key: own.key, body });
    if (found.came === null) {
      expect([reply.status, JSON.parse(reply.text)]).toMatchObject([
        502,
        { error: { type: 'api_error', details: { error_code: 'upstream-ended' } } },
      ]);
    } else {
      expect(reply.status).toBe(200);
      expectCame(reply.body, Buffer.from(found.came), found.isCut ?? false);
    }
    const { closing, certainty, costNanos, isInputGuessed } = found;
    const likely = isInputGuessed ? Math.ceil(Buffer.byteLength(body) / 2.6) * WRITE_NANOS : 0;
    const row = { closing, certainty, costNanos: costNanos + likely };
    expect(await owner.row(reply)).toMatchObject({ ...row, attempts: [{ outcome: 'answered' }] });
    await expectUntouched(own, 'an-answer');
  });
});

function expectCame(body: Buffer, came: Buffer, isCut: boolean): void {
  expect(body.subarray(0, came.length).equals(came)).toBe(true);
  const more = body.subarray(came.length).toString();
  if (!isCut) {
    expect(more).toBe('');
    return;
  }
  // Behind what was open, which is closed first.
  const [, data = ''] = /^(?:\n\n)?event: error\ndata: (\{.*\})\n\n$/.exec(more) ?? [];
  expect(JSON.parse(data)).toMatchObject({
    type: 'error',
    error: { type: 'api_error', details: { error_code: 'upstream-ended' } },
    request_id: expect.stringMatching(/^req_/),
  });
}

test('a JSON answer that was cut short, its length too, passes as it came', async () => {
  const own = ownOf('other');
  own.upstream.on('an-answer', json(TRUNCATED));
  const body = ask('an-answer');
  const reply = await send('/v1/messages', { key: own.key, body });
  expect([reply.status, reply.text]).toEqual([200, TRUNCATED]);
  const row = await owner.row(reply);
  expect(row).toMatchObject({ closing: 'completed', certainty: 'estimated' });
  expect(row.costNanos).toBeGreaterThanOrEqual(GUESSED_NANOS);
  await expectUntouched(own, 'an-answer');
});

const LINE_BYTES = 100 * 1024 * 1024;

test('a line of 100 MB passes whole, and what follows it is paid', async () => {
  const own = ownOf('line');
  const piece = Buffer.alloc(1024 * 1024, 'x');
  own.upstream.on('a-long-line', async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`${HALF}: `);
    for (let sent = 0; sent < LINE_BYTES; sent += piece.length) {
      if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end(`\n\n${ending()}`);
  });
  const body = ask('a-long-line', { stream: true });
  const reply = await send('/v1/messages', { key: own.key, body });
  expect(reply.status).toBe(200);
  expect(reply.body.length).toBe(HALF.length + 2 + LINE_BYTES + 2 + ending().length);
  expect(reply.body.subarray(-ending().length).toString()).toBe(ending());
  expect(await owner.row(reply)).toMatchObject(DONE);
  await expectUntouched(own, 'a-long-line');
});
