// What a client is told when its request was refused: in whose words, and for how long to wait.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { account, candidate } from '../../tests/support/pool-accounts';
import { journeyOf } from '../../tests/workerd/journey';
import type { RelayedWallet } from '../../tests/workerd/relayed';
import { relayedWallet, scriptUpstream, send } from '../../tests/workerd/relayed';
import type { Absence, Choice } from '../domain/scheduling/choose';
import { SECOND_MS } from '../domain/time';
import { COUNTS_NOTHING, noAccountFor, soonestMs } from './schedule';

let wallet: RelayedWallet;
let asked = 0;

beforeEach(async () => {
  wallet ??= await relayedWallet();
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** The client's answer where every account answers so. */
async function answeredTo(upstream: () => Response): Promise<Response> {
  asked += 1;
  const session = `refused ${asked}`;
  scriptUpstream(new Map([[session, upstream]]));
  const messages = [{ role: 'user', content: session }];
  const body = JSON.stringify({ model: 'claude-opus-5-5', max_tokens: 9, messages });
  const { response, finished } = send(wallet, { body, session });
  const answer = await response;
  await finished();
  return answer;
}

describe('a refusal that nobody can read', () => {
  it('of a request that is at fault keeps its status, so that it is not asked again', async () => {
    const headers = { 'content-type': 'text/html' };
    const page = '<html>nginx/1.2 at 10.0.0.7</html>';
    const answer = await answeredTo(() => new Response(page, { status: 413, headers }));
    expect(answer.status).toBe(413);
    expect(await answer.json()).toEqual({
      type: 'error',
      error: { type: 'request_too_large', message: 'Input is too long.' },
    });
  });
});

describe('a refusal of the account', () => {
  it('does not tell the client whose account it is', async () => {
    const organization = 'de3d3f58-1d3a-4a0b-9c57-3d1f6f0a7a11';
    const message = `This request would exceed the rate limit for your organization (${organization})`;
    const error = { type: 'rate_limit_error', message };
    const body = JSON.stringify({ type: 'error', error, request_id: 'req_1' });
    const headers = { 'content-type': 'application/json', 'retry-after': '7' };
    const answer = await answeredTo(() => new Response(body, { status: 429, headers }));
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '7']);
    const text = await answer.text();
    expect(text).toContain('rate_limit_error');
    expect(text).not.toContain(organization);
  });
});

function choiceOf(...whys: readonly Absence[]): Choice {
  return { candidates: [], absent: whys.map((why, n) => ({ account: account(n), why })) };
}

describe('a request that no account can be called for', () => {
  const cannot = { cannot: 'container: Amazon Bedrock does not take it' };
  const kindOf = (choice: Choice): string => noAccountFor(journeyOf({ model: 'm' }), choice).kind;

  it('is refused for good only where no account could ever take it', () => {
    expect(kindOf(choiceOf(cannot, 'model'))).toBe('bad-request');
    for (const busy of ['hours', 'cap', 'concurrency'] as const) {
      expect(kindOf(choiceOf(cannot, busy))).toBe('no-upstream');
      expect(kindOf(choiceOf({ cannot: COUNTS_NOTHING }, busy))).toBe('bad-request');
    }
  });

  it('that names what a busy account holds may come again', () => {
    const owned = journeyOf({ owner: account(1).id });
    expect(noAccountFor(owned, choiceOf('owner')).kind).toBe('held-elsewhere');
    expect(noAccountFor(owned, choiceOf('owner', 'concurrency')).kind).toBe('no-upstream');
  });

  it('may come again when the first of its accounts is back', () => {
    const now = 1_000_000;
    const at = (until: number) => candidate(account(1), { standing: 'cooling', until });
    const choice = { candidates: [at(now + 3_600_000), at(now + 2_000)], absent: [] };
    expect(soonestMs(choice, now)).toBe(2 * SECOND_MS);
    expect(soonestMs({ candidates: [], absent: [] }, now)).toBeNull();
  });
});
