// A request through the whole relay to an account of every kind: entered by an admin, chosen,
// called as its cloud demands, answered and paid for as if Anthropic itself had answered.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { newPair } from '../../tests/support/assertions';
import { ARN, BEDROCK_EVENTS, fakeAws } from '../../tests/support/fake-bedrock';
import type { FakeKind } from '../../tests/support/fake-kind';
import { EVENTS, MESSAGE, sseOf } from '../../tests/support/fake-kind';
import { fakeFederation, fakeFoundry, fakeVertex } from '../../tests/support/fake-tokens';
import { newPerson, read } from '../../tests/workerd/control-world';
import type { RelayedWallet } from '../../tests/workerd/relayed';
import { relayedWallet, rowsBySession, send, skipLongWaits } from '../../tests/workerd/relayed';
import type { Account } from '../control/contract/account-fields';

const pair = await newPair();
/** Opus 4.6, in nano-dollars: 10 tokens of input, 4 of output. */
const COST_NANOS = 10 * 5_000 + 4 * 25_000;
const PROMPT = {
  model: 'claude-opus-4-6',
  max_tokens: 16,
  messages: [{ role: 'user', content: 'Hello' }],
};

const DOORS: readonly (readonly [string, () => FakeKind])[] = [
  ['anthropic, federated', () => fakeFederation(pair)],
  ['aws', () => fakeAws('aws')],
  ['bedrock, signed', () => fakeAws('bedrock')],
  ['bedrock, with a key', () => fakeAws('bedrock', 'key')],
  ['bedrock-mantle', () => fakeAws('bedrock-mantle')],
  ['vertex', () => fakeVertex(pair)],
  ['foundry, with a key', () => fakeFoundry('key')],
  ['foundry, with Entra', () => fakeFoundry()],
];

let wallet: RelayedWallet;
let requests = 0;
/** Each test lives so long after the one before that the isolate has to ask for accounts anew. */
const APART_MS = 120_000;
let now = Date.UTC(2026, 10, 1);

beforeEach(async () => {
  now += APART_MS;
  vi.useFakeTimers({ toFake: ['Date'], now });
  wallet ??= await relayedWallet();
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Enters accounts of these kinds, the first of them first in line; no other is in use. */
async function entered(...fakes: readonly FakeKind[]): Promise<void> {
  const admin = await newPerson({ role: 'admin' });
  const { items } = await read<{ items: Account[] }>(await admin.call('GET', '/admin/accounts'));
  for (const { id } of items) await admin.call('POST', `/admin/accounts/${id}/disable`);
  for (const [priority, { account }] of fakes.entries()) {
    requests += 1;
    const { kind, credential, fields } = account;
    const baseUrl = `http://127.0.0.1:${requests + 1_000}`;
    // A resource's name stands in no address here.
    const project = kind === 'foundry' ? { project: 'canary' } : {};
    const place = { ...fields, ...project, baseUrl, priority };
    const body = { name: `${kind} ${requests}`, kind, credential, ...place };
    await read(await admin.call('POST', '/admin/accounts', { body }), 201);
    ports.set(new URL(baseUrl).port, fakes[priority] ?? null);
  }
  skipLongWaits();
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
    const fake = ports.get(new URL(url as string).port) ?? null;
    if (fake === null) throw new TypeError('nobody listens there');
    return asFromNetwork(await fake.handle(new Request(url, init)));
  });
}

/** A body that streams, as one from the network does; one that lies in memory cannot be piped. */
function asFromNetwork({ body, status, headers }: Response): Response {
  const reader = body?.getReader();
  if (reader === undefined) return new Response(null, { status, headers });
  const stream = new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      const { value, done } = await reader.read();
      if (!done) return controller.enqueue(new Uint8Array(value));
      controller.close();
      controller.byobRequest?.respond(0);
    },
  });
  return new Response(stream, { status, headers });
}

const ports = new Map<string, FakeKind | null>();

interface Came {
  readonly status: number;
  readonly text: string;
  readonly row: Awaited<ReturnType<typeof rowsBySession>> extends ReadonlyMap<string, infer R>
    ? R | undefined
    : never;
}

async function ask(more: object = {}): Promise<Came> {
  requests += 1;
  const session = `session-${requests}`;
  const sent = send(wallet, { body: JSON.stringify({ ...PROMPT, ...more }), session });
  const response = await sent.response;
  const text = await response.text();
  await sent.finished();
  const row = (await rowsBySession(wallet)).get(session);
  return { status: response.status, text, row };
}

function errorIn({ status, text }: Came): readonly unknown[] {
  const { error } = JSON.parse(text) as { error: { type: string; message: string } };
  return [status, error.type, error.message];
}

describe('a provider whose retry tokens are used up', () => {
  it('keeps nobody from an account of another that is well', async () => {
    const failing = [fakeAws('aws'), fakeAws('aws')];
    await entered(...failing, fakeFoundry('key'));
    const statuses: number[] = [];
    // Of several families: no breaker is open before the tokens have ended.
    const models = ['claude-opus-4-6', 'claude-sonnet-4-6', 'claude-haiku-4-5'];
    for (let asked = 0; asked < 15; asked += 1) {
      for (const fake of failing) fake.fail({ kind: 'answer', status: 500, body: '{}' });
      statuses.push((await ask({ model: models[asked % models.length] })).status);
    }
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

describe.each(DOORS)('an account of %s', (_, make) => {
  it('serves a message and a stream, each paid for', async () => {
    const fake = make();
    await entered(fake);
    const whole = await ask();
    expect([whole.status, JSON.parse(whole.text)]).toEqual([200, MESSAGE]);
    const stream = await ask({ stream: true });
    const events = fake.account.kind === 'bedrock' ? BEDROCK_EVENTS : EVENTS;
    expect([stream.status, stream.text]).toEqual([200, sseOf(events)]);
    const paid = { certainty: 'reported', costNanos: COST_NANOS };
    expect([whole.row, stream.row]).toMatchObject([paid, paid]);
    expect(fake.seen).toHaveLength(2);
  });

  it('is followed by another when it refuses in its own words', async () => {
    const fake = make();
    const next = fakeFoundry('key');
    await entered(fake, next);
    const body = JSON.stringify({ message: `quota of ${ARN}` });
    fake.fail({ kind: 'answer', status: 429, body, headers: { 'retry-after': '30' } });
    const came = await ask();
    expect([came.status, JSON.parse(came.text)]).toEqual([200, MESSAGE]);
    expect([fake.seen.length, next.seen.length]).toEqual([1, 1]);
    expect(came.row).toMatchObject({ costNanos: COST_NANOS });
  });

  it('tells nothing of itself when it is the only one and fails', async () => {
    const fake = make();
    await entered(fake);
    const body = JSON.stringify({ type: 'error', error: { type: 'x', message: `not ${ARN}` } });
    fake.fail(...Array.from({ length: 9 }, () => ({ kind: 'answer', status: 403, body }) as const));
    const came = await ask();
    expect(came.status).toBeGreaterThanOrEqual(400);
    expect(came.text).not.toContain('arn:');
    expect(came.row).toMatchObject({ costNanos: 0 });
  });
});

describe('what a cloud cannot take', () => {
  it('goes to an account that can', async () => {
    const cloud = fakeAws('bedrock');
    const own = fakeFederation(pair);
    await entered(cloud, own);
    expect((await ask({ safeguards: [] })).status).toBe(200);
    expect([cloud.seen.length, own.seen.length]).toEqual([0, 1]);
  });

  it('is refused by its name where there is none, so that the client asks without it', async () => {
    const cloud = fakeAws('bedrock');
    await entered(cloud);
    const [status, type, message] = errorIn(await ask({ safeguards: [] }));
    expect([status, type]).toEqual([400, 'invalid_request_error']);
    expect(message).toContain('safeguards');
    expect(cloud.seen).toEqual([]);
    expect((await ask()).status).toBe(200);
  });

  it('as a tool is refused by the tool’s name', async () => {
    await entered(fakeVertex(pair));
    const tools = [{ type: 'code_execution_20260521', name: 'code_execution' }];
    const [status, , message] = errorIn(await ask({ tools }));
    expect(status).toBe(400);
    expect(message).toContain('code_execution_20260521');
  });
});

describe('what goes wrong on Bedrock', () => {
  it.each([
    ['an exception', { kind: 'exception', at: 0, name: 'throttlingException', body: '{}' }],
    ['damage', { kind: 'flip', frame: 0, byte: 20 }],
    ['a cut', { kind: 'cut', bytes: 30 }],
  ] as const)(
    'before the first event, as %s, is made good by the next account',
    async (_, fault) => {
      const cloud = fakeAws('bedrock');
      const next = fakeVertex(pair);
      await entered(cloud, next);
      cloud.fail(fault);
      const came = await ask({ stream: true });
      expect([came.status, came.text]).toEqual([200, sseOf(EVENTS)]);
      expect(next.seen).toHaveLength(1);
    },
  );

  it('after it is told as it is, and what came is paid for', async () => {
    const cloud = fakeAws('bedrock');
    await entered(cloud, fakeVertex(pair));
    const body = JSON.stringify({ message: ARN });
    cloud.fail({ kind: 'exception', at: 3, name: 'modelStreamErrorException', body });
    const came = await ask({ stream: true });
    expect(came.status).toBe(200);
    expect(came.text.startsWith(sseOf(BEDROCK_EVENTS.slice(0, 3)))).toBe(true);
    expect(came.text).toContain('event: error\n');
    expect(came.text).not.toContain('arn:');
    expect(came.text).not.toContain('message_stop');
    expect(Number(came.row?.costNanos)).toBeGreaterThanOrEqual(50_000);
  });
});

describe('a token host that fails', () => {
  it.each([
    ['is down', { kind: 'down' }],
    ['refuses', { kind: 'status', status: 401, body: '{"error":"invalid_client"}' }],
  ] as const)('and %s leads to the next account', async (_, fault) => {
    const first = fakeVertex(pair);
    const next = fakeFoundry();
    await entered(first, next);
    first.failToken(fault);
    expect((await ask()).status).toBe(200);
    expect([first.seen.length, next.seen.length]).toEqual([0, 1]);
  });
});
