// In the runtime whose URL parser judges in production.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FORBIDDEN, FORBIDDEN_PATHS, formsAt } from '../../tests/support/address-forms';
import { baseUrlFaultOf, faultOf, ownHostsOf } from './address';

const production = { environment: 'production' } as const;
const development = { environment: 'development' } as const;

/** Such as an account may have. */
const GOOD = [
  'https://api.anthropic.com',
  'https://gateway.example.com/a/b',
  'https://a.b.c.d.example.co.uk/claude/v2.1/',
  'https://xn--bcher-kva.example.com',
  'https://API.Anthropic.com',
  'https://api.anthropic.com:443',
  'https://aiplatform.eu.rep.googleapis.com/v1',
  'https://1.example.com',
] as const;

describe('an address in production', () => {
  it.each(GOOD)('may be %s, at save and at use', (url) => {
    expect(baseUrlFaultOf(url, production)).toBe(null);
    expect(faultOf(url, production)).toBe(null);
  });

  it(`is none of ${FORBIDDEN.length} forms that lead elsewhere, at save and at use`, () => {
    const called = FORBIDDEN.filter((url) => faultOf(url, production) === null);
    const kept = FORBIDDEN.filter((url) => baseUrlFaultOf(url, production) === null);
    expect([called, kept]).toEqual([[], []]);
  });

  it('is not on this machine, however it is written', () => {
    const called = formsAt(4000).filter((url) => faultOf(url, production) === null);
    expect(called).toEqual([]);
  });

  it.each(FORBIDDEN_PATHS)('has no base path %j', (path) => {
    expect(baseUrlFaultOf(`https://gateway.example.com${path}`, production)).toBe('form');
    expect(baseUrlFaultOf(`http://127.0.0.1:4000${path}`, development)).toBe('form');
  });

  it('may have in a call what a base URL may not: encoded parts and a query', () => {
    const host = 'https://bedrock-runtime.us-east-1.amazonaws.com';
    const arn = 'arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx';
    for (const rest of [
      `/model/${arn}/invoke`,
      '/v1/models?after_id=a%23b',
      String.raw`/v1?a=\x`,
    ]) {
      expect(faultOf(`${host}${rest}`, production)).toBe(null);
    }
  });
});

describe('an address in development', () => {
  it('may be plain http on the loopback', () => {
    for (const url of ['http://127.0.0.1:4000/v1', 'http://localhost:4000', 'http://[::1]:4000']) {
      expect(faultOf(url, development)).toBe(null);
      expect(faultOf(url, production)).toBe('place');
    }
  });

  it('is on the loopback only as plain http, and in its plain spelling', () => {
    const called = formsAt(4000).filter((url) => faultOf(url, development) === null);
    const spellings = ['127.0.0.1', '[::1]', 'localhost', 'LOCALHOST'];
    const allowed = spellings.map((host) => `http://${host}:4000`);
    expect(new Set(called)).toEqual(
      new Set([
        ...allowed,
        'http://127.0.0.1:4000/..',
        'http://127.0.0.1:4000/%2f%2fapi.anthropic.com',
      ]),
    );
    const kept = formsAt(4000).filter((url) => baseUrlFaultOf(url, development) === null);
    expect(new Set(kept)).toEqual(new Set(allowed));
  });

  it('is as in production everywhere else', () => {
    const called = FORBIDDEN.filter((url) => faultOf(url, development) === null);
    expect(called).toEqual([]);
  });
});

describe('the relay itself', () => {
  const config = {
    allowedOrigins: ['https://dashboard.example.com'],
    corsOrigins: ['http://127.0.0.1:3001'],
  };
  const ownHosts = ownHostsOf(new URL('https://cloud-relay.someone.workers.dev/admin'), config);

  it.each([
    'https://cloud-relay.someone.workers.dev/v1',
    'https://Cloud-Relay.someone.workers.dev',
    'https://1a2b3c4d-cloud-relay.someone.workers.dev',
    'https://dashboard.example.com',
  ])('is not called at %s', (url) => {
    expect(faultOf(url, { ...production, ownHosts })).toBe('own');
    expect(faultOf(url, production)).toBe(null);
  });

  it('is told from others by the whole name, and on the loopback by the port', () => {
    for (const url of [
      'https://another.someone.workers.dev',
      'https://not-dashboard.example.com',
      'https://x.dashboard.example.com',
    ]) {
      expect(faultOf(url, { ...production, ownHosts })).toBe(null);
    }
    expect(faultOf('http://127.0.0.1:3001', { ...development, ownHosts })).toBe('own');
    expect(faultOf('http://127.0.0.1:3002', { ...development, ownHosts })).toBe(null);
  });
});

describe('the hosts of a kind', () => {
  const account = { kind: 'anthropic' };

  it('are asked for at save and at use, unless an admin allows another', () => {
    const url = 'https://gateway.example.com';
    expect(faultOf(url, { ...production, account })).toBe('host');
    expect(baseUrlFaultOf(url, { ...production, account })).toBe('host');
    expect(faultOf('https://api.anthropic.com/v1', { ...production, account })).toBe(null);
    const allowed = { ...account, allowsOtherHost: true };
    expect(faultOf(url, { ...production, account: allowed })).toBe(null);
  });

  it('do not matter to a sandbox, and being allowed another opens no private one', () => {
    expect(faultOf('http://127.0.0.1:4000', { ...development, account })).toBe(null);
    const allowed = { ...account, allowsOtherHost: true };
    const called = FORBIDDEN.filter(
      (url) => faultOf(url, { ...production, account: allowed }) === null,
    );
    expect(called).toEqual([]);
  });
});

describe('whatever is written', () => {
  const PIECES = [
    'https://',
    'http://',
    'https:',
    '//',
    '/',
    String.raw`\\`,
    '@',
    ':',
    '443',
    '80',
    '#',
    '?',
    'api.anthropic.com',
    'example.com',
    '127.0.0.1',
    '0x7f',
    '[::1]',
    'localhost',
    '.',
    '。',
    '-',
    '%2f',
    '%40',
    '%00',
    '%2e',
    '\t',
    '\n',
    ' ',
    'ⓐ',
    '①',
    'ſ',
    'K',
    'xn--',
    '..',
    '&',
    '=',
    'a',
  ];
  const written = fc
    .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 3, unit: 'binary' })), {
      maxLength: 9,
    })
    .map((pieces) => pieces.join(''));

  /** As somebody reads it who has no parser: what stands between `https://` and the next `/?`. */
  const readPlainly = (url: string): string | undefined =>
    /^https:\/\/([a-z0-9.-]+)(:443)?(?=[/?]|$)/i.exec(url)?.[1];

  it('is called only where a plain reader sees the same host', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          written,
          written.map((rest) => `https://api.anthropic.com${rest}`),
        ),
        (url) => {
          if (faultOf(url, production) !== null) return;
          const { hostname, protocol, port, username, hash } = new URL(url);
          expect([protocol, port, username, hash]).toEqual(['https:', '', '', '']);
          expect(readPlainly(url)?.toLowerCase()).toBe(hostname);
          expect(hostname).toMatch(/^[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]+$/);
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it('is no number, in any base and with any parts left out', () => {
    const part = (most: number) =>
      fc
        .tuple(fc.nat(most), fc.constantFrom(10, 16, 8))
        .map(
          ([n, base]) =>
            ({ 10: `${n}`, 16: `0x${n.toString(16)}`, 8: `0${n.toString(8)}` })[base] ?? '',
        );
    const address = fc.oneof(
      fc.tuple(part(255), part(255), part(255), part(255)),
      fc.tuple(part(255), part(255), part(65_535)),
      fc.tuple(part(255), part(16_777_215)),
      fc.tuple(part(4_294_967_295)),
    );
    fc.assert(
      fc.property(address, fc.constantFrom('', '.', '/', ':443'), (parts, end) => {
        expect(faultOf(`https://${parts.join('.')}${end}`, production)).not.toBe(null);
      }),
      { numRuns: 5_000 },
    );
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        expect(faultOf(`https://[${text}]`, production)).not.toBe(null);
      }),
    );
  });

  it('may follow a base URL as a path without changing its host', () => {
    const rest = fc.oneof(written, fc.webPath()).map((path) => `/${path}`);
    fc.assert(
      fc.property(fc.constantFrom(...GOOD), rest, (base, path) => {
        const { origin, pathname } = new URL(base);
        const url = `${`${origin}${pathname}`.replace(/\/+$/, '')}${path}`;
        if (faultOf(url, production) === null) expect(new URL(url).origin).toBe(origin);
      }),
      { numRuns: 5_000 },
    );
  });
});
