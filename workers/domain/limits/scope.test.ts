import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isAddressAllowed,
  isAddressRange,
  isClientAllowed,
  isModelAllowed,
  matchesWildcard,
  subscriberOf,
} from './scope';

describe('matchesWildcard', () => {
  it.each([
    ['claude-*', 'claude-opus-5', true],
    ['claude-*', 'Claude-opus-5', false],
    ['*opus*', 'claude-opus-5', true],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['claude-sonnet-5', 'claude-sonnet-5-5', false],
    ['a.c', 'abc', false],
    ['[a]+', 'a', false],
    ['**', 'anything', true],
  ])('says of "%s" and "%s": %s', (pattern, text, expected) => {
    expect(matchesWildcard(pattern, text)).toBe(expected);
  });

  it('agrees with the regular expression that the pattern means', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', '*', '.'), { maxLength: 8 });
    const texts = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 12 });
    fc.assert(
      fc.property(letters, texts, (letters, texts) => {
        const pattern = letters.join('');
        const text = texts.join('');
        const expression = pattern.replaceAll('.', String.raw`\.`).replaceAll(/\*+/g, '.*');
        expect(matchesWildcard(pattern, text)).toBe(new RegExp(`^${expression}$`).test(text));
      }),
    );
  });

  it('ends on the pattern that a backtracking matcher never ends on', () => {
    expect(matchesWildcard(`${'*a'.repeat(60)}*b`, 'a'.repeat(20_000))).toBe(false);
  });
});

describe('isModelAllowed', () => {
  it.each([
    [{}, 'claude-opus-5', true],
    [{ allow: ['claude-haiku-*'] }, 'claude-opus-5', false],
    [{ allow: ['claude-haiku-*', 'claude-opus-5'] }, 'claude-opus-5', true],
    [{ deny: ['*opus*'] }, 'claude-opus-5', false],
    [{ deny: ['*opus*'] }, 'claude-haiku-5', true],
    [{ allow: ['claude-opus-5'], deny: ['*opus*'] }, 'claude-opus-5', false],
  ])('says of %j and %s: %s', (rules, model, expected) => {
    expect(isModelAllowed(rules, model)).toBe(expected);
  });
});

describe('isClientAllowed', () => {
  it.each([
    [['claude-cli/*'], 'claude-cli/2.1.330 (external, cli)', true],
    [['Claude-CLI/*'], 'claude-cli/2.1.330', true],
    [['claude-cli/*'], 'curl/8.0', false],
    [['claude-cli/*'], null, false],
    [['*'], null, true],
    [['*e*'], null, false],
    [['curl/*', 'claude-cli/*'], 'claude-cli/2.1.330', true],
  ])('says of %j and %s: %s', (patterns, userAgent, expected) => {
    expect(isClientAllowed(patterns, userAgent)).toBe(expected);
  });

  it('looks at the beginning of a user agent alone', () => {
    expect(isClientAllowed(['*end'], `${'x'.repeat(600)}end`)).toBe(false);
    expect(isClientAllowed(['x*'], `${'x'.repeat(600)}end`)).toBe(true);
  });
});

describe('isAddressAllowed', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['203.0.113.9', '203.0.113.9', true],
    ['203.0.113.9/32', '203.0.113.8', false],
    ['192.168.4.0/22', '192.168.7.255', true],
    ['192.168.4.0/22', '192.168.8.0', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['2001:DB8::1', '2001:db8:0:0:0:0:0:1', true],
    ['::/0', '2001:db8::1', true],
    ['fe80::/10', 'febf::1', true],
    ['fe80::/10', 'fec0::1', false],
    // IPv4 written as IPv6 is IPv4, in the address and in the range.
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:a01:203', true],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::/0', '10.1.2.3', false],
    ['0.0.0.0/0', '2001:db8::1', false],
  ])('says of %s and %s: %s', (range, address, expected) => {
    expect(isAddressAllowed([range], address)).toBe(expected);
    expect(isAddressAllowed(['198.51.100.7', range], address)).toBe(expected);
  });

  it.each(['fe80::1%eth0', '10.0.0', '10.0.0.1, 10.0.0.2', 'localhost', '', null])(
    'lets no range hold the address %s',
    (address) => {
      expect(isAddressAllowed(['0.0.0.0/0', '::/0'], address)).toBe(false);
    },
  );

  it('passes over a range that cannot be read', () => {
    expect(isAddressAllowed(['nonsense', '10.0.0.0/8'], '10.1.2.3')).toBe(true);
    expect(isAddressAllowed(['nonsense'], '10.1.2.3')).toBe(false);
  });

  it('finds every IPv4 address in just the ranges that share its first bits', () => {
    const words = fc.integer({ min: 0, max: 0xff_ff_ff_ff });
    fc.assert(
      fc.property(words, words, fc.nat(32), (base, address, prefix) => {
        const cut = (value: number): number => Math.floor(value / 2 ** (32 - prefix));
        const range = `${dotted(cut(base) * 2 ** (32 - prefix))}/${prefix}`;
        expect(isAddressAllowed([range], dotted(address))).toBe(cut(base) === cut(address));
        expect(isAddressAllowed([range], `::ffff:${dotted(base)}`)).toBe(true);
      }),
    );
  });
});

describe('isAddressRange', () => {
  it.each([
    '10.0.0.1',
    '10.0.0.0/8',
    '0.0.0.0/0',
    '::',
    '::1/128',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '64:ff9b::1.2.3.4',
  ])('takes %s', (text) => {
    expect(isAddressRange(text)).toBe(true);
  });

  const MALFORMED = `
    10.0.0.1/8 10.0.0.0/33 10.0.0.0/ 10.0.0.0/08 10.0.0.0/-1 10.0.0.0/8/8 010.0.0.1 256.0.0.1
    1.2.3 1.2.3.4.5 /8 * 2001:db8::1/32 ::/129 ::: 1::2::3 :1 1: 12345:: g:: ::%1 1:2:3:4:5:6:7
    1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7::8:9 1:2:3:4::5:6:7:8 1.2.3.4:: ::1.2.3.4:5 ::ffff:1.2.3.256
    [::1] fe80::1%eth0/64 x/10.0.0.0/8 ::ffff:10.0.0.0/90
  `;

  it.each(['', '1.2.3.4 ', ...MALFORMED.trim().split(/\s+/)])('refuses "%s"', (text) => {
    expect(isAddressRange(text)).toBe(false);
  });
});

describe('subscriberOf', () => {
  it('takes every IPv4 address for one of its own, also when it is written as IPv6', () => {
    expect(subscriberOf('192.0.2.1')).not.toBe(subscriberOf('192.0.2.2'));
    expect(subscriberOf('::ffff:192.0.2.1')).toBe(subscriberOf('192.0.2.1'));
  });

  it('takes a /64 of IPv6 for one, however it is written', () => {
    const one = subscriberOf('2001:db8:0:1::1');
    expect(subscriberOf('2001:DB8::1:ffff:ffff:ffff:ffff')).toBe(one);
    expect(subscriberOf('2001:db8:0:2::1')).not.toBe(one);
  });

  it('takes what is no address for itself', () => {
    expect([subscriberOf(''), subscriberOf('x')]).toEqual(['', 'x']);
  });
});

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}
