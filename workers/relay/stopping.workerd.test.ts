// A running request whose key, user or wallet may do nothing any more, or that was stopped by its
// id, ends at its next sign of life: told in the client's own protocol, its upstream let go, what
// was produced paid.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Called, RelayedWallet, Script } from '../../tests/workerd/relayed';
import {
  firstRequestOf,
  infoOfKey,
  relayedWallet,
  rowsBySession,
  scriptUpstream,
  send,
  spoken,
  untilGivenUp,
} from '../../tests/workerd/relayed';
import { userCopy, walletCopy } from '../../tests/support/ledger';
import { nanosFromDollars } from '../domain/money';
import { SECOND_MS } from '../domain/time';

const ONE_DOLLAR = nanosFromDollars(1);
/** Opus 5.5, in nano-dollars a token. */
const INPUT_NANOS = 4_000;
const WRITE_NANOS = 5_000;
const OUTPUT_NANOS = 20_000;

const encoder = new TextEncoder();
const usage = { input_tokens: 100, output_tokens: 1 };
const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-opus-5-5' };
const BEGINNING = [
  event('message_start', { message: { ...message, content: [], usage } }),
  event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'w'.repeat(300) } }),
].join('');

function event(type: string, data: Readonly<Record<string, unknown>>): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

const PING = event('ping', {});
const SESSION = 'is stopped';

/** What can happen to a request that runs, and the word that its row is closed with. */
const CAUSES: Readonly<
  Record<string, readonly ['revoked' | 'stopped', (wallet: RelayedWallet) => Promise<unknown>]>
> = {
  'its key was disabled': [
    'revoked',
    ({ ledger, copy }) => ledger.apply([{ ...copy, status: 'disabled', version: 2 }]),
  ],
  'its key was deleted': [
    'revoked',
    ({ ledger, copy }) => ledger.apply([{ ...copy, status: 'deleted', version: 2 }]),
  ],
  'its key has expired': [
    'revoked',
    ({ ledger, copy }) => ledger.apply([{ ...copy, expiresAt: 1, version: 2 }]),
  ],
  'its user was suspended': [
    'revoked',
    ({ ledger, owner }) => ledger.apply([userCopy(owner, { status: 'suspended', version: 2 })]),
  ],
  'its wallet was suspended': [
    'revoked',
    ({ ledger, owner }) => ledger.apply([walletCopy(owner, { status: 'suspended', version: 2 })]),
  ],
  'it was stopped by its id': [
    'stopped',
    async (wallet) => {
      const requestId = await firstRequestOf(wallet);
      expect(await wallet.ledger.stop({ requestId, actor: 'usr_admin' })).toMatchObject({
        state: 'stopping',
      });
    },
  ],
};

interface Course {
  readonly streamed: boolean;
  readonly script: Script;
  readonly drains?: boolean;
  readonly maxTokens?: number;
}

/** A request whose call upstream is under way. */
async function running({ streamed, script, drains = false, maxTokens = 1_000 }: Course) {
  const wallet = await relayedWallet(drains ? { whenClientLeaves: 'drain' } : {}, ONE_DOLLAR);
  const called = Promise.withResolvers<Called>();
  const answer: Script = (call) => {
    called.resolve(call);
    return script(call);
  };
  scriptUpstream(new Map([[SESSION, answer]]));
  const messages = [{ role: 'user', content: SESSION }];
  const asked = { model: 'claude-opus-5-5', max_tokens: maxTokens, stream: streamed, messages };
  const body = JSON.stringify(asked);
  const likelyNanos = Math.ceil(encoder.encode(body).byteLength / 2.6) * WRITE_NANOS;
  const sent = send(wallet, { body, session: SESSION });
  return { ...sent, wallet, likelyNanos, called: await called.promise };
}

type Request = Awaited<ReturnType<typeof running>>;

/** The request's row when all is done, and that nothing is left open or held. */
async function expectRow({ wallet, finished }: Request, row: object): Promise<void> {
  await finished();
  const { ledger, owner, copy } = wallet;
  const again = { status: 'active', version: 3 } as const;
  await ledger.apply([{ ...copy, ...again }, userCopy(owner, again), walletCopy(owner, again)]);
  expect(await infoOfKey(wallet)).toMatchObject({ openRequests: 0, heldNanos: 0, requests: 1 });
  expect((await rowsBySession(wallet)).get(SESSION)).toMatchObject(row);
}

/** Begins an answer, then pings as long as it is listened to. */
function goingOn({ signal }: Called): Response {
  const { body, say } = spoken(signal);
  say(encoder.encode(BEGINNING));
  const ping = async (): Promise<void> => {
    while (!signal.aborted) {
      await scheduler.wait(5);
      say(encoder.encode(PING));
    }
  };
  void ping();
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

/** The next sign of life, and its answer. */
function signOfLife(): void {
  vi.advanceTimersByTime(15 * SECOND_MS);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe.each(Object.entries(CAUSES))('when %s', (_, [word, happen]) => {
  const code = `"error_code":"ended-${word}"`;

  it('a stream ends in an error event, and what was delivered is paid', async () => {
    const request = await running({ streamed: true, script: goingOn });
    const text = (await request.response).text();
    await happen(request.wallet);
    signOfLife();
    const last = (await text).replace(BEGINNING, '').replaceAll(PING, '');
    expect(last).toMatch(
      /^event: error\ndata: \{"type":"error","error":\{"type":"permission_error"/,
    );
    expect(last).toContain(code);
    expect(request.called.signal.aborted).toBe(true);
    const costNanos = 100 * INPUT_NANOS + 100 * OUTPUT_NANOS;
    await expectRow(request, { closing: word, certainty: 'estimated', costNanos });
  });

  it.each([true, false])(
    'a request that waits for headers is refused, and its likely input paid (streaming: %s)',
    async (streamed) => {
      const request = await running({
        streamed,
        script: ({ signal }) => untilGivenUp(signal),
      });
      await happen(request.wallet);
      signOfLife();
      const response = await request.response;
      expect([response.status, response.headers.get('x-should-retry')]).toEqual([403, 'false']);
      expect(await response.text()).toContain(code);
      const costNanos = request.likelyNanos;
      await expectRow(request, { closing: word, certainty: 'estimated', costNanos });
    },
  );

  it('a JSON answer that is still coming is refused, and its likely input paid', async () => {
    const request = await running({
      streamed: false,
      script: ({ signal }) => {
        const { body, say } = spoken(signal);
        say(encoder.encode('{"type":"message",'));
        const headers = { 'content-type': 'application/json', 'content-length': '500' };
        return new Response(body, { headers });
      },
    });
    await happen(request.wallet);
    signOfLife();
    const response = await request.response;
    expect(response.status).toBe(403);
    expect(await response.text()).toContain(code);
    const costNanos = request.likelyNanos;
    await expectRow(request, { closing: word, certainty: 'estimated', costNanos });
  });
});

describe('a request that is stopped', () => {
  it('ends before its next sign of life when it asks to hold more', async () => {
    const said = Promise.withResolvers<ReturnType<typeof spoken>>();
    const request = await running({
      streamed: true,
      script: ({ signal }) => {
        const answer = spoken(signal);
        said.resolve(answer);
        return new Response(answer.body, { headers: { 'content-type': 'text/event-stream' } });
      },
      maxTokens: 128_000,
    });
    const { say } = await said.promise;
    const text = request.response.then((response) => response.text());
    const requestId = await firstRequestOf(request.wallet);
    await request.wallet.ledger.stop({ requestId, actor: 'usr_admin' });
    say(encoder.encode(BEGINNING));
    // The first slice is an eighth of what the wallet has: 6,250 tokens.
    const delta = { type: 'text_delta', text: 'word '.repeat(500) };
    for (let piece = 0; piece < 300 && !request.called.signal.aborted; piece += 1) {
      say(encoder.encode(event('content_block_delta', { index: 0, delta })));
      await scheduler.wait(10);
    }
    expect(await text).toContain('"error_code":"ended-stopped"');
    await expectRow(request, { closing: 'stopped', certainty: 'estimated' });
  });

  it('is closed as left when its client had left and it was only read on', async () => {
    const request = await running({
      streamed: true,
      drains: true,
      script: goingOn,
    });
    const reader = (await request.response).body?.getReader();
    await reader?.read();
    request.leave();
    reader?.cancel().catch(() => undefined);
    const requestId = await firstRequestOf(request.wallet);
    await request.wallet.ledger.stop({ requestId, actor: 'usr_admin' });
    signOfLife();
    const costNanos = 100 * INPUT_NANOS + 100 * OUTPUT_NANOS;
    await expectRow(request, { closing: 'client-left', certainty: 'estimated', costNanos });
  });
});
