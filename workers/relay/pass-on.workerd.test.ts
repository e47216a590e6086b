import { describe, expect, it } from 'vitest';
import { ACCOUNT_DEFAULTS } from '../domain/snapshot';
import { journeyOf } from '../../tests/workerd/journey';
import { clientOf } from './client';
import { passOn } from './pass-on';
import { atRest } from './progress';

/** The client's answer when the upstream's has `status`. */
const JSON_TYPE = { 'content-type': 'application/json' };

async function answeredWith(
  status: number,
  body: string | null,
  headers: Record<string, string> = JSON_TYPE,
): Promise<Response> {
  // Neither the constructor nor the tests' network gives out such a status: the real one does.
  const response = Object.defineProperty(new Response(body, { headers }), 'status', {
    value: status,
  });
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
  const answer = { account, response, attempts: [], firstByteMs: 0, cancel, client };
  const travelled = await passOn(journeyOf(), answer, atRest());
  await travelled.finished;
  return travelled.response;
}

describe('passOn', () => {
  it.each([101, 204, 205, 600])(
    'takes a status that can bear no message (%i) for a failed upstream, not for its own bug',
    async (status) => {
      const response = await answeredWith(status, null);
      expect(response.status).toBe(502);
      expect(await response.json()).toMatchObject({
        error: { type: 'api_error', details: { error_code: 'upstream-unreadable' } },
      });
    },
  );

  it('keeps the wait of a refusal that is in no protocol', async () => {
    const headers = { 'content-type': 'text/html', 'retry-after': '7' };
    const response = await answeredWith(429, '<html></html>', headers);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7']);
    expect(await response.json()).toMatchObject({ error: { type: 'overloaded_error' } });
  });

  it('hands a refusal on as it came', async () => {
    const refusal = '{"type":"error"}';
    const response = await answeredWith(529, refusal);
    expect(response.status).toBe(529);
    expect(await response.text()).toBe(refusal);
  });
});
