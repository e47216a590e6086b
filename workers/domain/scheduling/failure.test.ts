import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CALLED,
  EXAMPLES,
  rateLimit,
  said,
  without,
} from '../../../tests/support/failure-examples';
import { NOW } from '../../../tests/support/pool-accounts';
import { HOUR_MS, SECOND_MS } from '../time';
import type { Reply } from './failure';
import {
  ANSWERED,
  FAILURES,
  isGoodProbe,
  markOf,
  retryAfterMsOf,
  statusOfErrorType,
  verdictOn,
} from './failure';

describe('verdictOn', () => {
  it.each(EXAMPLES)('moves on, or not, after $what', ({ reply, verdict }) => {
    const { holds: _, ...found } = verdictOn(reply);
    expect(found).toEqual({
      name: 'refused',
      next: 'none',
      pause: 'none',
      counts: 'none',
      isAbsorbed: false,
      mayRepeat: false,
      isShowable: true,
      needsProof: false,
      ...verdict,
    });
  });

  it.each(EXAMPLES)('holds back what it should after $what', ({ reply, mark }) => {
    const verdict = verdictOn(reply);
    const found = markOf(verdict, reply, CALLED);
    if (mark === undefined) {
      expect(found).toBeNull();
      return;
    }
    const { state, until } = mark;
    expect(found).toMatchObject({ state, until, reason: verdict.name, since: NOW });
    expect(found?.subject.of).toBe(mark.of);
  });

  it('has an example of each row', () => {
    const named = (names: readonly (string | undefined)[]) => {
      const counts = new Map<string, number>();
      for (const name of names) counts.set(name ?? '', (counts.get(name ?? '') ?? 0) + 1);
      return counts;
    };
    const examples = named(EXAMPLES.map(({ verdict }) => verdict.name));
    for (const [name, rows] of named(FAILURES.map((row) => row.name))) {
      expect({ name, examples: examples.get(name) ?? 0 }).toSatisfy(
        (found: { examples: number }) => found.examples >= rows,
      );
    }
  });

  it.each([200, 201, 204, 304])('takes %i for an answer', (status) => {
    expect(verdictOn({ ...without('answered'), status })).toBe(ANSWERED);
    expect(ANSWERED).toMatchObject({ name: 'answered', next: 'none', counts: 'success' });
  });

  it.each([
    said(400, 'invalid_request_error', 'messages: at least one message is required'),
    said(404, 'not_found_error', 'Not Found'),
    said(404, 'not_found_error', 'File not found: file_011CNha8iCJcU1wXNR6q4V8w'),
    said(405, 'invalid_request_error', 'Method Not Allowed'),
    said(408, 'timeout_error', 'Request timed out.'),
    said(409, 'conflict_error', 'The resource was changed meanwhile.'),
    said(413, 'request_too_large', 'Request exceeds the maximum allowed number of bytes.'),
    said(422, 'invalid_request_error', 'unprocessable'),
  ])('hands $status ($message) to the client, and nobody is blamed', (reply) => {
    const verdict = verdictOn(reply);
    expect(verdict).toMatchObject({ name: 'refused', next: 'none', counts: 'none', holds: null });
    expect(verdict).toMatchObject({ isShowable: true, isAbsorbed: false });
  });

  it.each([
    'Request not allowed',
    'User location is not supported',
    'Your credit balance is too low',
    'This organization has been disabled',
    'You have reached your specified API usage limits',
  ])('does not fall for a client that makes the upstream quote: %s', (words) => {
    const message = `Unexpected value(s) \`${words}\` for the \`anthropic-beta\` header.`;
    expect(verdictOn(said(400, 'invalid_request_error', message)).name).toBe('refused');
  });

  it('never shows the client an upstream credential failure', () => {
    const { isShowable } = verdictOn(said(401, 'authentication_error', 'invalid x-api-key'));
    expect(isShowable).toBe(false);
  });

  it('blames nobody for any other 4xx, whatever it says', () => {
    const others = fc.integer({ min: 405, max: 499 }).filter((status) => status !== 429);
    fc.assert(
      fc.property(others, fc.string(), fc.option(fc.string()), (status, message, code) => {
        const reply: Reply = { ...said(status, 'invalid_request_error', message), code };
        expect(verdictOn(reply)).toMatchObject({ next: 'none', counts: 'none', holds: null });
      }),
    );
  });

  it('moves on after any 5xx, and takes nothing out for it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 500, max: 599 }), fc.string(), (status, message) => {
        const verdict = verdictOn(said(status, 'api_error', message));
        expect(['account', 'provider']).toContain(verdict.next);
        expect(verdict.holds).toBeNull();
      }),
    );
  });
});

describe('a call by permit', () => {
  it.each([
    [true, { ...without('answered'), status: 200 }],
    [true, said(400, 'invalid_request_error', 'messages: at least one message is required')],
    [false, said(500, 'api_error', 'Internal server error')],
    [false, said(529, 'overloaded_error', 'Overloaded')],
    [false, said(401, 'authentication_error', 'invalid x-api-key')],
    [false, without('timeout')],
    [null, said(403, 'permission_error', 'Your organization may not use this beta.')],
    [null, said(404, 'not_found_error', 'model: claude-odd')],
    [null, rateLimit()],
    [null, without('unsendable')],
  ])('is good (%s), or tells nothing that a request could bring about: %o', (isGood, reply) => {
    expect(isGoodProbe(verdictOn(reply))).toBe(isGood);
  });
});

describe('markOf', () => {
  it('names the account and family that were called', () => {
    const { subject } = markOf(verdictOn(rateLimit()), rateLimit(), CALLED) ?? {};
    expect(subject).toEqual({ of: 'family', accountId: CALLED.accountId, family: 'opus' });
  });

  it('remembers a data centre only if it is known', () => {
    const reply = said(403, 'forbidden', 'Request not allowed');
    expect(markOf(verdictOn(reply), reply, { ...CALLED, colo: null })).toBeNull();
    const { subject } = markOf(verdictOn(reply), reply, CALLED) ?? {};
    expect(subject).toEqual({ of: 'colo', accountId: CALLED.accountId, colo: 'HKG' });
  });

  it.each([
    { saidMs: 0, lastsMs: SECOND_MS },
    { saidMs: 300, lastsMs: SECOND_MS },
    { saidMs: 1_500, lastsMs: 1_500 },
    { saidMs: 24 * HOUR_MS, lastsMs: 24 * HOUR_MS },
    { saidMs: Number.MAX_SAFE_INTEGER, lastsMs: 24 * HOUR_MS },
  ])('cools down for $lastsMs ms where the answer says $saidMs', ({ saidMs, lastsMs }) => {
    const mark = markOf(verdictOn(rateLimit()), { retryAfterMs: saidMs }, CALLED);
    expect(mark?.until).toBe(NOW + lastsMs);
  });

  it.each([
    ['2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z'],
    ['2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['2028-02-29T12:00:00Z', '2028-03-01T00:00:00Z'],
  ])('ends a spent limit of %s at %s', (now, until) => {
    const reply = said(429, 'rate_limit_error', '', 'enforced_spend_limit_reached');
    const mark = markOf(verdictOn(reply), reply, { ...CALLED, now: Date.parse(now) });
    expect(mark?.until).toBe(Date.parse(until));
  });
});

describe('statusOfErrorType', () => {
  it.each([
    ['invalid_request_error', 400],
    ['authentication_error', 401],
    ['billing_error', 402],
    ['permission_error', 403],
    ['not_found_error', 404],
    ['conflict_error', 409],
    ['request_too_large', 413],
    ['rate_limit_error', 429],
    ['api_error', 500],
    ['timeout_error', 504],
    ['overloaded_error', 529],
    ['a_new_error', 500],
    ['toString', 500],
    ['__proto__', 500],
  ])('reads %s in a stream as %i', (type, status) => {
    expect(statusOfErrorType(type)).toBe(status);
  });
});

describe('retryAfterMsOf', () => {
  it.each([
    ['0', 0],
    ['1', 1_000],
    [' 37 ', 37_000],
    ['1.5', 1_500],
    ['0.0001', 1],
    ['86400', 86_400_000],
    ['9'.repeat(400), Number.MAX_SAFE_INTEGER],
    ['Tue, 24 Nov 2026 12:00:30 GMT', 30_000],
    ['Tue, 24 Nov 2026 11:59:30 GMT', 0],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ])('reads retry-after: %s', (text, ms) => {
    expect(retryAfterMsOf(new Headers({ 'retry-after': text }), NOW)).toBe(ms);
  });

  it.each([
    '',
    '-5',
    '+5',
    '1e3',
    '0x10',
    '.5',
    '5s',
    '5, 10',
    'soon',
    'NaN',
    'Infinity',
    'Tue, soon 5',
    'Tue, 24 Nov 2026',
    'Mon, 45 Foo 2026 10:00:00 GMT',
    '2026-11-24T12:00:30Z',
  ])('finds nothing in retry-after: %s', (text) => {
    expect(retryAfterMsOf(new Headers({ 'retry-after': text }), NOW)).toBeNull();
  });

  it('finds nothing where nothing is said', () => {
    expect(retryAfterMsOf(new Headers(), NOW)).toBeNull();
  });

  it('believes retry-after-ms before retry-after, if it can be read', () => {
    const both = (exact: string) => new Headers({ 'retry-after-ms': exact, 'retry-after': '7' });
    expect(retryAfterMsOf(both('250'), NOW)).toBe(250);
    expect(retryAfterMsOf(both('250.4'), NOW)).toBe(251);
    expect(retryAfterMsOf(both('-1'), NOW)).toBe(7_000);
    expect(retryAfterMsOf(both('soon'), NOW)).toBe(7_000);
  });

  it('answers any text with a whole number of ms that is not negative, or with nothing', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (exact, text) => {
        const headers = new Map([
          ['retry-after-ms', exact],
          ['retry-after', text],
        ]);
        const ms = retryAfterMsOf({ get: (name) => headers.get(name) ?? null }, NOW);
        expect(ms === null || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
      }),
    );
  });
});
