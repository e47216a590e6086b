// The clouds' stand-ins behind a port, as journeys use them.

import { afterEach, describe, expect, it } from 'vitest';
import { fakeAws } from './support/fake-bedrock';
import type { FakeKind } from './support/fake-kind';
import { EVENTS, MESSAGE, sseOf } from './support/fake-kind';
import { FOUNDRY_KEY, fakeFoundry } from './support/fake-tokens';
import type { Served } from './support/serve-fake';
import { serveFake } from './support/serve-fake';

let served: Served | null = null;

afterEach(async () => {
  await served?.close();
  served = null;
});

async function called(
  fake: FakeKind,
  body: object,
  headers: Readonly<Record<string, string>> = { 'x-api-key': FOUNDRY_KEY },
): Promise<Response> {
  served ??= await serveFake(fake);
  const url = `${served.baseUrl}/anthropic/v1/messages`;
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe('a stand-in behind a port', () => {
  it('answers who calls it rightly, and keeps what came', async () => {
    const fake = fakeFoundry('key');
    const response = await called(fake, { model: 'm', text: 'Grüße' });
    expect([response.status, await response.json()]).toEqual([200, MESSAGE]);
    expect(await (await called(fake, { model: 'm', stream: true })).text()).toBe(sseOf(EVENTS));
    expect(fake.seen.map(({ json }) => json)).toEqual([
      { model: 'm', text: 'Grüße' },
      { model: 'm', stream: true },
    ]);
  });

  it('refuses who does not', async () => {
    expect((await called(fakeFoundry('key'), { model: 'm' }, {})).status).toBe(401);
  });

  it('refuses a signature that was made for other bytes', async () => {
    const headers = {
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIACANARYEXAMPLE000/20261101/eu-west-1/bedrock/aws4_request, ' +
        `SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
      'x-amz-date': '20261101T000000Z',
    };
    const response = await called(fakeAws('bedrock'), { a: 1 }, headers);
    expect(response.status).toBe(403);
    expect(response.headers.get('x-amzn-errortype')).toMatch(/^\w+Exception:/);
  });

  it('fails as it is told, once each', async () => {
    const fake = fakeFoundry('key');
    const headers = { 'retry-after': '7' };
    fake.fail({ kind: 'answer', status: 429, body: '{}', headers }, { kind: 'cut', bytes: 9 });
    expect((await called(fake, { model: 'm' })).headers.get('retry-after')).toBe('7');
    expect(await (await called(fake, { model: 'm' })).text()).toBe(
      JSON.stringify(MESSAGE).slice(0, 9),
    );
    expect((await called(fake, { model: 'm' })).status).toBe(200);
  });
});
