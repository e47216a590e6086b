import * as version1 from '@anthropic-ai/sdk';
import * as version0 from 'anthropic-sdk-0';
import { describe, expect, it } from 'vitest';
import { ERROR_EXAMPLES } from '../../../tests/support/error-examples';
import type { RelayError } from '../../domain/errors';
import { facts } from '../../domain/errors';
import { createSseSplitter } from '../sse';
import { renderError, renderStreamError } from './errors';
import { createStreamMeter } from './usage';

const ERRORS: readonly RelayError[] = Object.values(ERROR_EXAMPLES).flat();

/** What both majors of the official SDK call an answer of this status. */
const SDK_CLASS = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  409: 'ConflictError',
  429: 'RateLimitError',
  500: 'InternalServerError',
  502: 'InternalServerError',
  503: 'InternalServerError',
  504: 'InternalServerError',
} as const;

function isNamed(status: number): status is keyof typeof SDK_CLASS {
  return status in SDK_CLASS;
}

describe('renderError', () => {
  it.each(ERRORS)('lays $kind into the envelope with its status', (error) => {
    const { status, headers, body } = renderError(error, 'req_1');
    const { errorClass, code, message } = facts(error);
    expect(status).toBe(facts(error).status);
    expect(JSON.parse(body)).toEqual({
      type: 'error',
      error: { type: errorClass, message, details: { error_code: code } },
      request_id: 'req_1',
    });
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'request-id': 'req_1' });
    expect(body).not.toContain('secret cause');
  });

  it.each(ERRORS)('gives $kind to the official SDK as its own class and type', (error) => {
    const { status, headers, body } = renderError(error, 'req_1');
    for (const sdk of [version0, version1]) {
      const answer: object = JSON.parse(body);
      const caught = sdk.APIError.generate(status, answer, undefined, new Headers(headers));
      expect(caught.requestID).toBe('req_1');
      expect(caught.error).toEqual(answer);
      expect(caught).toMatchObject({ status, type: facts(error).errorClass });
      const name = isNamed(status) ? SDK_CLASS[status] : 'APIError';
      expect(caught).toBeInstanceOf(sdk[name]);
    }
  });

  it.each(ERRORS)('says about retrying $kind what is known of it, and nothing else', (error) => {
    const { headers } = renderError(error, 'req_1');
    const { retry, retryAfterMs, allow } = facts(error);
    expect(headers['x-should-retry']).toBe(retry === null ? undefined : String(retry));
    expect('retry-after' in headers).toBe(retryAfterMs !== null);
    expect(headers['allow']).toBe(allow);
  });

  it.each([
    [0, '1'],
    [1, '1'],
    [1_000, '1'],
    [1_001, '2'],
    [59_999, '60'],
  ])('rounds a wait of %i ms up to %s s', (retryAfterMs, seconds) => {
    const { headers } = renderError({ kind: 'no-upstream', retryAfterMs }, 'req_1');
    expect(headers['retry-after']).toBe(seconds);
  });

  it.each(['missing', 'malformed', 'conflicting', 'unknown', 'revoked', 'expired'] as const)(
    'refuses a %s key once and in words that Claude Code shows as they are',
    (why) => {
      const { status, headers, body } = renderError({ kind: 'unauthenticated', why }, 'req_1');
      expect(status).toBe(401);
      expect(headers['x-should-retry']).toBe('false');
      expect(body.toLowerCase()).not.toContain('x-api-key');
    },
  );

  it('says of spent money, and of nothing else, that it is the user’s own that is spent', () => {
    for (const error of ERRORS) {
      const { headers } = renderError(error, 'req_1');
      const status = headers['anthropic-ratelimit-unified-status'];
      const isSpent = error.kind === 'out-of-credit' || error.kind === 'budget-spent';
      expect(status).toBe(isSpent ? 'rejected' : undefined);
      // With these Claude Code would hide the message.
      expect(headers).not.toHaveProperty('anthropic-ratelimit-unified-representative-claim');
      expect(headers).not.toHaveProperty('anthropic-ratelimit-unified-overage-status');
    }
  });

  it('names the methods that a path allows', () => {
    const wrongMethod: RelayError = { kind: 'method-not-allowed', method: 'PUT', allow: 'POST' };
    expect(renderError(wrongMethod, 'req_1').headers['allow']).toBe('POST');
  });
});

describe('renderStreamError', () => {
  it.each(ERRORS)('writes $kind as one event with the same envelope', (error) => {
    const splitter = createSseSplitter({ maxEventBytes: 10_000 });
    const { body } = renderError(error, 'req_1');
    const bytes = new TextEncoder().encode(renderStreamError(error, 'req_1'));
    expect(splitter.push(bytes)).toEqual([{ event: 'error', data: body }]);
  });

  it('is read as an error by the meter', () => {
    const meter = createStreamMeter({ askedModel: 'm', cacheTtl: 'none' });
    meter.push(new TextEncoder().encode(renderStreamError({ kind: 'upstream-ended' }, 'req_1')));
    expect(meter.reading().error?.type).toBe('api_error');
  });
});
