import { describe, expect, it } from 'vitest';
import { originalOf, readRefusal, translateRefusal, translateUnlessAnthropics } from './refusals';

function said(message: string): string {
  return JSON.stringify({ message });
}

function anthropic(type: string, message: string): string {
  return JSON.stringify({ type: 'error', error: { type, message } });
}

function google(code: number, message: string, status: string): string {
  return JSON.stringify({ error: { code, message, status } });
}

function read(status: number, text: string, exception = ''): readonly unknown[] {
  const { status: meant, type, message } = readRefusal(status, { text, exception });
  return [meant, type, message];
}

const GENERIC_400 = 'The upstream refused the request as not valid.';

describe('what a status comes to', () => {
  it.each([
    [400, 'invalid_request_error'],
    [401, 'authentication_error'],
    [402, 'billing_error'],
    [403, 'permission_error'],
    [404, 'not_found_error'],
    [408, 'timeout_error'],
    [413, 'request_too_large'],
    [418, 'invalid_request_error'],
    [429, 'rate_limit_error'],
    [500, 'api_error'],
    [502, 'api_error'],
    [503, 'api_error'],
    [504, 'timeout_error'],
    [529, 'overloaded_error'],
  ])('%i is %s, whatever stands in it', (status, type) => {
    for (const text of ['', '<html>', '[]', '{"error":5}', said('arn:aws:iam::123456789012:x')]) {
      const [meant, gotType, message] = read(status, text);
      expect([meant, gotType]).toEqual([status, type]);
      expect(message).not.toContain('arn:');
      expect(message).not.toBe('');
    }
  });

  it.each([
    ['AccessDeniedException', 403, 403],
    ['UnrecognizedClientException', 403, 401],
    ['ExpiredTokenException', 403, 401],
    ['InvalidSignatureException', 403, 401],
    ['IncompleteSignatureException', 400, 401],
    ['ThrottlingException', 429, 429],
    ['ServiceQuotaExceededException', 400, 429],
    ['ModelNotReadyException', 429, 503],
    ['ModelTimeoutException', 408, 504],
    ['ModelErrorException', 424, 500],
    ['ResourceNotFoundException', 404, 404],
    ['InternalServerException', 500, 500],
    ['ServiceUnavailableException', 503, 503],
    ['SomethingNewException', 409, 409],
  ])('AWS’s %s with %i is %i', (name, status, meant) => {
    expect(read(status, said('x'), `${name}:http://internal.amazon.com/coral/`)[0]).toBe(meant);
    expect(read(status, JSON.stringify({ __type: `com.amazon#${name}`, message: 'x' }))[0]).toBe(
      meant,
    );
  });

  it.each([
    ['Authentication failed: Please make sure your API Key is valid.', 403, 401],
    ['Bearer Token has expired', 403, 401],
    ['The provided model identifier is invalid.', 400, 404],
    [
      'Invocation of model ID anthropic.claude-x with on-demand throughput isn’t supported.',
      400,
      404,
    ],
  ])('“%s” with %i is %i', (message, status, meant) => {
    expect(read(status, said(message), 'ValidationException')[0]).toBe(meant);
  });
});

describe('words', () => {
  it.each([
    'messages.0.content: Field required',
    'safeguards: Extra inputs are not permitted',
    'tools.11.custom.defer_loading: Extra inputs are not permitted',
    'invalid beta flag',
    'max_tokens: see https://docs.claude.com/en/api for the limit',
  ])('that judge the request are kept: %s', (message) => {
    const kept = [400, 'invalid_request_error', message];
    expect(read(400, said(message), 'ValidationException')).toEqual(kept);
    expect(read(400, said(`The model returned the following errors: ${message}`))).toEqual(kept);
    expect(read(400, anthropic('invalid_request_error', message))).toEqual(kept);
  });

  it('of Anthropic’s envelope are kept in a 400 alone', () => {
    const text = anthropic('x', 'any words at all');
    expect(read(400, text)[2]).toBe('any words at all');
    for (const status of [401, 403, 404, 429, 500, 529]) {
      expect(read(status, text)[2]).not.toContain('any words');
    }
  });

  it.each([
    'prompt is too long: 210000 tokens > 200000 maximum',
    'Input is too long for requested model.',
    'input tokens exceed the configured limit',
    'Request body is too large',
  ])('about size are the ones that clients know: %s', (message) => {
    const known = [400, 'invalid_request_error', 'Input is too long.'];
    expect(read(400, said(message))).toEqual(known);
    expect(read(400, anthropic('invalid_request_error', message))).toEqual(known);
    expect(read(413, said(message))).toEqual([413, 'request_too_large', 'Input is too long.']);
  });

  it.each([
    'x: arn:aws:bedrock:us-east-1:123456789012:inference-profile/canary',
    'model: Publisher model projects/canary/locations/global not found',
    'account: 123456789012 is not subscribed',
    'deployment: https://canary.services.ai.azure.com/x',
    'tenant: 0f0f0f0f-1111-2222-3333-444444444444',
    'principal: relay@canary.iam.gserviceaccount.com',
    'Something about the account in words of its own',
  ])('that could tell of the account are not: %s', (message) => {
    expect(read(400, said(message))).toEqual([400, 'invalid_request_error', GENERIC_400]);
  });

  it('about the place of the caller stay, because another way out is looked for by them', () => {
    const text = google(400, 'User location is not supported for the API use.', 'FAILED');
    expect(read(400, text)).toEqual([
      400,
      'invalid_request_error',
      'User location is not supported',
    ]);
  });

  it('are no longer than a client can show', () => {
    const [, , message] = read(400, said(`messages: ${'x'.repeat(10_000)}`));
    expect(String(message)).toHaveLength(2_000);
  });
});

describe('a refusal as an answer', () => {
  it('keeps when to come again, and none of the cloud’s own headers', async () => {
    const text = google(429, 'Quota exceeded for projects/canary', 'RESOURCE_EXHAUSTED');
    const headers = {
      'retry-after': '7',
      'retry-after-ms': '6500',
      'content-encoding': 'identity',
      'content-length': '5',
      'apim-request-id': 'azure-1',
      'x-ms-region': 'canary',
    };
    const answer = await translateRefusal(new Response(text, { status: 429, headers }));
    expect(Object.fromEntries(answer.headers)).toEqual({
      'content-type': 'application/json',
      'request-id': 'azure-1',
      'retry-after': '7',
      'retry-after-ms': '6500',
    });
    expect(await answer.text()).not.toContain('canary');
    expect(originalOf(answer)).toBe(text);
  });

  it('is none where nothing was refused', async () => {
    for (const status of [200, 302]) {
      const response = new Response(null, { status });
      expect(await translateRefusal(response)).toBe(response);
      expect(originalOf(response)).toBe(null);
    }
  });

  it('reads no more of an endless body than it needs', async () => {
    let pulled = 0;
    const body = new ReadableStream({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(16 * 1_024));
      },
    });
    const answer = await translateRefusal(new Response(body, { status: 500 }));
    expect(answer.status).toBe(500);
    expect(pulled).toBeLessThan(10);
  });

  it('of Anthropic behind AWS is as it came; of AWS in front of it, it is not', async () => {
    const text = anthropic('rate_limit_error', 'This is details for https://x.example');
    const own = { status: 429, headers: { 'x-any': 'kept', 'retry-after': '3' } };
    const passed = await translateUnlessAnthropics(new Response(text, own));
    expect([passed.status, await passed.text()]).toEqual([429, text]);
    expect(passed.headers.get('x-any')).toBe('kept');
    for (const foreign of [said('User: arn:aws:iam::1:user/x is not authorized'), '<html>']) {
      const response = new Response(foreign, { status: 403 });
      const answer = await translateUnlessAnthropics(response);
      expect(await answer.json()).toMatchObject({ error: { type: 'permission_error' } });
    }
    const named = anthropic('permission_error', 'for arn:aws:iam::123456789012:role/canary');
    const answer = await translateUnlessAnthropics(new Response(named, { status: 403 }));
    expect(await answer.text()).not.toContain('canary');
  });
});
