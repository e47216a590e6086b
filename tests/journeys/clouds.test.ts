// Every kind of account through the whole relay, against its stand-in: answers, refusals, tokens
// that cannot be had. What a client is told names no cloud's account.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newPair } from '../support/assertions';
import type { Reply } from '../support/client';
import { ask, eventually, send } from '../support/client';
import { ARN, BEDROCK_EVENTS, fakeAws } from '../support/fake-bedrock';
import type { FakeKind, Fault, TokenFault } from '../support/fake-kind';
import { EVENTS, MESSAGE, sseOf } from '../support/fake-kind';
import type { FakeWithTokens } from '../support/fake-tokens';
import { fakeFederation, fakeFoundry, fakeVertex } from '../support/fake-tokens';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';
import type { Served } from '../support/serve-fake';
import { serveFake } from '../support/serve-fake';

const pair = await newPair();
const MODEL = MESSAGE.model;
/** 10 tokens in, 4 out, at 5 and 25 dollars a million. */
const COST_NANOS = 10 * 5_000 + 4 * 25_000;

/** With a token from somewhere else. */
const TOKEN_DOORS: Readonly<Record<string, () => FakeWithTokens>> = {
  'anthropic, federated': () => fakeFederation(pair),
  vertex: () => fakeVertex(pair),
  'foundry, with Entra': () => fakeFoundry(),
};
const DOORS: Readonly<Record<string, () => FakeKind>> = {
  ...TOKEN_DOORS,
  'aws, signed': () => fakeAws('aws'),
  'aws, with a key': () => fakeAws('aws', 'key'),
  'bedrock, signed': () => fakeAws('bedrock'),
  'bedrock, with a key': () => fakeAws('bedrock', 'key'),
  'bedrock-mantle, signed': () => fakeAws('bedrock-mantle'),
  'bedrock-mantle, with a key': () => fakeAws('bedrock-mantle', 'key'),
  'foundry, with a key': () => fakeFoundry('key'),
};

interface Door extends Pick<Own, 'key' | 'account'> {
  readonly fake: FakeKind;
}

let owner: Owner;
const servers: Served[] = [];
const doors = new Map<string, Door>();

/** An account of `fake`; another credential than its own is refused. */
async function enter(name: string, fake: FakeKind, differs: object = {}): Promise<void> {
  const served = await serveFake(fake);
  servers.push(served);
  const { kind, credential, fields } = fake.account;
  // Of a resource whose own address it does not have.
  const place = kind === 'foundry' ? { project: 'a-resource' } : {};
  const address = { baseUrl: served.baseUrl, allowsOtherHost: true };
  const own = { kind, credential, ...fields, ...place, ...address };
  doors.set(name, { fake, ...(await owner.foreign({ ...own, ...differs })) });
}

const TOKEN_CASES = ['down', 'refused', 'slow', 'expired', 'revoked'] as const;

beforeAll(async () => {
  owner = await ownerOfAccounts();
  for (const [name, make] of Object.entries(DOORS)) {
    for (const what of ['good', 'denied', 'overloaded']) await enter(`${name} ${what}`, make());
  }
  for (const [name, make] of Object.entries(TOKEN_DOORS)) {
    for (const what of TOKEN_CASES) await enter(`${name} ${what}`, make());
  }
  await enter('signed for elsewhere', fakeAws('bedrock'), { region: 'us-east-1' });
  await owner.known();
}, 120_000);
afterAll(async () => {
  await owner.end();
  await Promise.all(servers.map((served) => served.close()));
}, 120_000);

function doorOf(name: string): Door {
  const door = doors.get(name);
  if (door === undefined) throw new Error(`there is no door ${name}`);
  return door;
}

function say({ key }: Door, isStream = false): Promise<Reply> {
  return send('/v1/messages', { key, body: ask('a cloud', { model: MODEL, stream: isStream }) });
}

function expectTold(reply: Reply, status: number, code: string): void {
  expect([reply.status, JSON.parse(reply.text)]).toMatchObject([
    status,
    { type: 'error', error: { details: { error_code: code } } },
  ]);
  expect(reply.text).not.toMatch(/canary|arn:|127\.0\.0\.1/i);
}

async function expectOut(door: Door, failure: string): Promise<void> {
  const reasons = await eventually('the account is held back', async () => {
    const { state, reasons: found } = await door.account('only');
    return state === 'out' ? found : null;
  });
  expect(reasons).toMatchObject([{ of: 'account', failure, until: null }]);
}

/** The cloud's own refusal of a credential. */
function denialOf({ account: { kind } }: FakeKind): Fault {
  if (!kind.startsWith('bedrock')) {
    const error = { type: 'authentication_error', message: `invalid for ${ARN}` };
    return { kind: 'answer', status: 401, body: JSON.stringify({ type: 'error', error }) };
  }
  const headers = { 'x-amzn-errortype': 'UnrecognizedClientException' };
  const body = JSON.stringify({ message: `The security token of ${ARN} is invalid.` });
  return { kind: 'answer', status: 403, body, headers };
}

describe.each(Object.keys(DOORS))('an account of %s', (name) => {
  test('answers as JSON and as a stream, and is paid by its figures', async () => {
    const door = doorOf(`${name} good`);
    const whole = await say(door);
    expect([whole.status, JSON.parse(whole.text)]).toEqual([200, MESSAGE]);
    const streamed = await say(door, true);
    const events = door.fake.account.kind === 'bedrock' ? BEDROCK_EVENTS : EVENTS;
    expect([streamed.status, streamed.text]).toEqual([200, sseOf(events)]);
    for (const reply of [whole, streamed]) {
      const row = { closing: 'completed', certainty: 'reported', costNanos: COST_NANOS };
      expect(await owner.row(reply)).toMatchObject(row);
    }
    expect(door.fake.seen).toHaveLength(2);
    expect(await door.account('only')).toMatchObject({ state: 'ready', reasons: [] });
  });

  test('whose credential is refused is out, and its client is not told of it', async () => {
    const door = doorOf(`${name} denied`);
    // A token that was taken back is asked for anew: both are refused.
    door.fake.fail(denialOf(door.fake), denialOf(door.fake));
    const reply = await say(door, true);
    expectTold(reply, 502, 'upstream-credential');
    const row = { closing: 'upstream-failed', costNanos: 0 };
    expect(await owner.row(reply)).toMatchObject({
      ...row,
      attempts: [{ outcome: 'unauthenticated', status: 401 }],
    });
    await expectOut(door, 'unauthenticated');
  });

  test('that is overloaded is asked once more, and is not held back itself', async () => {
    const door = doorOf(`${name} overloaded`);
    const error = { type: 'overloaded_error', message: 'Overloaded' };
    const body = JSON.stringify({ type: 'error', error });
    const headers = { 'content-type': 'application/json' };
    const fault = { kind: 'answer', status: 529, body, headers } as const;
    door.fake.fail(fault, fault);
    const reply = await say(door);
    expect([reply.status, JSON.parse(reply.text)]).toMatchObject([529, { error }]);
    const one = { outcome: 'overloaded', status: 529 };
    expect(await owner.row(reply)).toMatchObject({ costNanos: 0, attempts: [one, one] });
    expect(door.fake.seen).toHaveLength(2);
    expect((await say(door)).status).toBe(200);
    expect(await door.account('only')).toMatchObject({ state: 'ready', reasons: [] });
  });
});

const DOWN: TokenFault = { kind: 'down' };

describe.each(Object.keys(TOKEN_DOORS))('the token host of %s', (name) => {
  test('that cannot be reached is tried once more, and the account is not out', async () => {
    const door = doorOf(`${name} down`);
    door.fake.failToken(DOWN, DOWN);
    const reply = await say(door);
    expectTold(reply, 502, 'upstream-unreachable');
    const { attempts } = await owner.row(reply);
    expect(attempts.map(({ outcome }) => outcome)).toContain('token-unreachable');
    expect(door.fake.seen).toHaveLength(0);
    expect(await door.account('only')).toMatchObject({ state: 'ready', reasons: [] });
  });

  test('that refuses the credential puts the account out', async () => {
    const door = doorOf(`${name} refused`);
    const body = JSON.stringify({ error: 'invalid_grant', error_description: ARN });
    door.fake.failToken({ kind: 'status', status: 401, body });
    expectTold(await say(door, true), 502, 'upstream-credential');
    expect(door.fake.seen).toHaveLength(0);
    await expectOut(door, 'token-refused');
  });

  test('that is slow is waited for, by all who need the token, once', async () => {
    const door = doorOf(`${name} slow`);
    const until = Promise.withResolvers<void>();
    door.fake.failToken({ kind: 'slow', until: until.promise });
    const replies = Promise.all(Array.from({ length: 5 }, () => say(door)));
    await eventually('the token is asked for', async () =>
      door.fake.exchanges.length > 0 ? true : null,
    );
    until.resolve();
    expect((await replies).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(door.fake.exchanges).toHaveLength(1);
  });

  test('is asked again when the token is about to expire', async () => {
    const door = doorOf(`${name} expired`);
    door.fake.failToken({ kind: 'lives', seconds: 20 });
    expect([(await say(door)).status, (await say(door)).status]).toEqual([200, 200]);
    expect(door.fake.exchanges).toHaveLength(2);
  });

  test('is asked again after a token was taken back', async () => {
    const door = doorOf(`${name} revoked`);
    expect((await say(door)).status).toBe(200);
    (door.fake as FakeWithTokens).revoke();
    expectTold(await say(door), 502, 'upstream-credential');
    await expectOut(door, 'unauthenticated');
    // As the last resort, with a new token.
    expect((await say(door)).status).toBe(200);
    expect(door.fake.exchanges).toHaveLength(2);
  });
});

test('a call that is signed for another region is refused, and the account is out', async () => {
  const door = doorOf('signed for elsewhere');
  expectTold(await say(door, true), 502, 'upstream-credential');
  await expectOut(door, 'unauthenticated');
});
