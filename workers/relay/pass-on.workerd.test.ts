import { describe, expect, it } from 'vitest';
import { ACCOUNT_DEFAULTS } from '../domain/snapshot';
import { journeyOf } from '../../tests/workerd/journey';
import { clientOf } from './client';
import { passOn } from './pass-on';
import { atRest } from './progress';

/** The client's answer when the upstream's has `status`. */
async function answeredWith(status: number, body: string): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  const response = new Response(null, { status, headers });
  const account = {
    ...ACCOUNT_DEFAULTS,
    id: 'acc_1',
    name: 'test',
    kind: 'anthropic',
    baseUrl: 'https://upstream.test',
    credential: { keyVersion: '1', iv: '', ciphertext: '' },
  } as const;
  const client = clientOf(new AbortController().signal, { seq: 0 });
  const cancel = () => undefined;
  const read = { beginning: new Uint8Array(new TextEncoder().encode(body)), rest: null };
  const answer = { account, response, ...read, attempts: [], firstByteMs: 0, cancel, client };
  const travelled = await passOn(journeyOf(), answer, atRest());
  await travelled.finished;
  return travelled.response;
}

describe('passOn', () => {
  it('hands a refusal on as it came', async () => {
    const refusal = '{"type":"error"}';
    const response = await answeredWith(529, refusal);
    expect(response.status).toBe(529);
    expect(await response.text()).toBe(refusal);
  });
});
