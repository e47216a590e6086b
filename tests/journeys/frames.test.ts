// Bedrock's event stream through the whole relay: in pieces of any size, cut off anywhere, damaged,
// and ended by an exception.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Reply } from '../support/client';
import { ask, send } from '../support/client';
import { bytesOf, chunkOf } from '../support/event-stream';
import { ARN, BEDROCK_EVENTS, fakeAws } from '../support/fake-bedrock';
import type { FakeKind } from '../support/fake-kind';
import { MESSAGE, sseOf } from '../support/fake-kind';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';
import type { Served } from '../support/serve-fake';
import { serveFake } from '../support/serve-fake';

const FRAMES = BEDROCK_EVENTS.map(chunkOf);
const WHOLE = bytesOf(FRAMES);
const EVENTS = BEDROCK_EVENTS.map((event) => sseOf([event]));
/** Bytes up to the end of each frame. */
const ENDS = FRAMES.map((_, index) => bytesOf(FRAMES.slice(0, index + 1)).length);

let owner: Owner;
const servers: Served[] = [];

interface Door extends Pick<Own, 'key' | 'account'> {
  readonly fake: FakeKind;
}
let bytewise: Door;
let cut: Door;
let early: Door;
let late: Door;
let thrown: Door;

async function enter(pieceBytes: number): Promise<Door> {
  const fake = fakeAws('bedrock');
  const served = await serveFake(fake, 0, pieceBytes);
  servers.push(served);
  const { kind, credential, fields } = fake.account;
  const { baseUrl } = served;
  const own = { kind, credential, ...fields, baseUrl, allowsOtherHost: true };
  return { fake, ...(await owner.foreign(own)) };
}

beforeAll(async () => {
  owner = await ownerOfAccounts();
  bytewise = await enter(1);
  [cut, early, late, thrown] = [await enter(64), await enter(64), await enter(64), await enter(64)];
  await owner.known();
});
afterAll(async () => {
  await owner.end();
  await Promise.all(servers.map((served) => served.close()));
});

function stream({ key }: Door): Promise<Reply> {
  return send('/v1/messages', { key, body: ask('frames', { model: MESSAGE.model, stream: true }) });
}

test('frames that come byte by byte are the same events', async () => {
  const reply = await stream(bytewise);
  expect([reply.status, reply.text]).toEqual([200, EVENTS.join('')]);
  expect(await owner.row(reply)).toMatchObject({ closing: 'completed', certainty: 'reported' });
});

/** Every 41st byte after the first frame, and those around each frame's end. */
const CUTS = [
  ...Array.from({ length: Math.floor(WHOLE.length / 41) }, (_, index) => index * 41),
  ...ENDS.flatMap((end) => [end - 1, end, end + 1]),
].filter((at) => at > (ENDS[0] ?? 0) && at < WHOLE.length);

test('a stream that is cut off gives what was whole, and then says so', async () => {
  expect(CUTS.length).toBeGreaterThan(30);
  for (const at of CUTS) {
    cut.fake.fail({ kind: 'cut', bytes: at });
    const reply = await stream(cut);
    const whole = EVENTS.slice(0, ENDS.filter((end) => end <= at).length).join('');
    expect([at, reply.status, reply.text.slice(0, whole.length)]).toEqual([at, 200, whole]);
    const rest = reply.text.slice(whole.length);
    const [, data = ''] = /^event: error\ndata: (\{.*\})\n\n$/.exec(rest) ?? [];
    expect([at, JSON.parse(data)]).toMatchObject([at, { error: { type: 'api_error' } }]);
    const { closing } = await owner.row(reply);
    expect([at, closing]).toEqual([at, 'upstream-failed']);
  }
  expect(await cut.account('only')).toMatchObject({ state: 'ready', reasons: [] });
});

test('damage before the first event is a failure of the account, told with a status', async () => {
  const fault = { kind: 'flip', frame: 0, byte: 60 } as const;
  early.fake.fail(fault, fault);
  const reply = await stream(early);
  expect([reply.status, JSON.parse(reply.text)]).toMatchObject([
    500,
    { error: { type: 'api_error' } },
  ]);
  const { attempts, costNanos } = await owner.row(reply);
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'failed']);
  expect(costNanos).toBe(0);
  expect(early.fake.seen).toHaveLength(2);
});

test('damage later is an event of error behind those that have come', async () => {
  late.fake.fail({ kind: 'flip', frame: 3, byte: 70 });
  const reply = await stream(late);
  const whole = EVENTS.slice(0, 3).join('');
  expect(reply.text.slice(0, whole.length)).toBe(whole);
  expect(reply.text.slice(whole.length)).toMatch(/^event: error\ndata: \{.*"api_error".*\}\n\n$/);
  expect(await owner.row(reply)).toMatchObject({ closing: 'upstream-failed' });
});

const BODY = JSON.stringify({ message: `no luck for ${ARN}` });

test('an exception in place of the first event fails over or is told with its status', async () => {
  const fault = { kind: 'exception', at: 0, name: 'throttlingException', body: BODY } as const;
  // First the later one: the other holds the account back.
  thrown.fake.fail({ ...fault, at: 2 }, fault);
  const later = await stream(thrown);
  const whole = EVENTS.slice(0, 2).join('');
  expect([later.status, later.text.slice(0, whole.length)]).toEqual([200, whole]);
  expect(later.text.slice(whole.length)).toMatch(/^event: error\ndata: \{.*"rate_limit_error"/);
  const reply = await stream(thrown);
  expect([reply.status, JSON.parse(reply.text)]).toMatchObject([
    429,
    { error: { type: 'rate_limit_error' } },
  ]);
  for (const { text } of [later, reply]) expect(text).not.toMatch(/arn:|canary/);
  expect(await owner.row(reply)).toMatchObject({
    closing: 'upstream-refused',
    costNanos: 0,
    attempts: [{ outcome: 'throttled', status: 429 }],
  });
  await expect
    .poll(async () => (await thrown.account('only')).reasons)
    .toMatchObject([{ of: 'family', state: 'cooling', failure: 'throttled' }]);
});
