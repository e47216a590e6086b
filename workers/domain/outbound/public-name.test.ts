import { describe, expect, it } from 'vitest';
import { isPublicName } from './public-name';

describe('isPublicName', () => {
  it.each([
    'api.anthropic.com',
    'a.co',
    'xn--bcher-kva.example.com',
    'example.xn--p1ai',
    '1.example.com',
    'my-metadata.example.com',
    'x.metadata.example.com',
    'internal.example.com',
    'local.example.com',
    'notnip.io',
    `${'a'.repeat(63)}.com`,
  ])('takes %s', (name) => {
    expect(isPublicName(name)).toBe(true);
  });

  it.each([
    ...[
      '',
      '.',
      'com',
      'com.',
      'a.com.',
      '.a.com',
      'a..com',
      '127.0.0.1',
      '[::1]',
      'a.1',
      'a.0x7f',
    ],
    ...[
      '-a.com',
      'a-.com',
      'a_b.com',
      'a b.com',
      'A.com',
      'ä.com',
      'a.c',
      'a.xn--',
      'a.c-m',
      'a.c1',
    ],
    ...['localhost', 'a.localhost', 'a.local', 'a.internal', 'a.lan', 'a.home', 'a.corp', 'a.test'],
    ...['a.intranet', 'a.arpa', 'a.invalid', 'a.example', 'a.onion', 'a.private', 'a.localdomain'],
    ...['metadata.google.internal', 'metadata.azure.com', 'instance-data.example.com', 'a.alt'],
    ...['nip.io', 'a.nip.io', '10.0.0.1.sslip.io', 'a.xip.io', 'localtest.me', 'a.lvh.me'],
    ...['a.traefik.me', 'a.mail', `${'a'.repeat(64)}.com`, `${'a.'.repeat(126)}com`],
  ])('does not take %j', (name) => {
    expect(isPublicName(name)).toBe(false);
  });
});
