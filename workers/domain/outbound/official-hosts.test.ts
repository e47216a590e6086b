import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCloudName, isOfficialHost, mayCallHost } from './official-hosts';

/** Documented hosts, and the domain under which a vendor alone gives out names. */
const KINDS = {
  anthropic: { under: 'api.anthropic.com', hosts: ['api.anthropic.com'] },
  aws: { under: '.api.aws', hosts: ['aws-external-anthropic.us-west-2.api.aws'] },
  bedrock: { under: '.amazonaws.com', hosts: ['bedrock-runtime.us-east-1.amazonaws.com'] },
  'bedrock-mantle': { under: '.api.aws', hosts: ['bedrock-mantle.eu-central-1.api.aws'] },
  vertex: {
    under: '.googleapis.com',
    hosts: [
      'us-east5-aiplatform.googleapis.com',
      'aiplatform.googleapis.com',
      'aiplatform.us.rep.googleapis.com',
      'aiplatform.eu.rep.googleapis.com',
    ],
  },
  foundry: { under: '.services.ai.azure.com', hosts: ['my-resource.services.ai.azure.com'] },
} as const;
const NAMES = Object.keys(KINDS) as (keyof typeof KINDS)[];

describe('isOfficialHost', () => {
  it.each(NAMES)('knows the documented hosts of %s, and no other kind’s', (kind) => {
    for (const other of NAMES) {
      for (const host of KINDS[other].hosts)
        expect(isOfficialHost(kind, host)).toBe(kind === other);
    }
  });

  it.each([
    ['anthropic', 'anthropic.com'],
    ['anthropic', 'evil-api.anthropic.com'],
    ['anthropic', 'api.anthropic.com.evil.com'],
    ['anthropic', 'api-anthropic.com'],
    ['anthropic', 'apixanthropic.com'],
    ['bedrock', 'bedrock-runtime-fips.us-east-1.amazonaws.com'],
    ['bedrock', 'bedrock-runtime.us-east-1.amazonaws.com.cn'],
    ['bedrock', 'bedrock-runtime.a.b.amazonaws.com'],
    ['bedrock', 'bedrock-runtime..amazonaws.com'],
    ['bedrock', 'bucket.s3.amazonaws.com'],
    ['vertex', 'storage.googleapis.com'],
    ['vertex', 'evil.aiplatform.googleapis.com'],
    ['vertex', 'a.b-aiplatform.googleapis.com'],
    ['foundry', 'services.ai.azure.com'],
    ['foundry', 'a.b.services.ai.azure.com'],
    ['foundry', 'blob.core.windows.net'],
    ['nothing-known', 'api.anthropic.com'],
    ['constructor', 'api.anthropic.com'],
    ['', 'api.anthropic.com'],
  ])('does not take for %s what is %s', (kind, host) => {
    expect(isOfficialHost(kind, host)).toBe(false);
  });

  it('takes every host of a kind that names a protocol and no vendor', () => {
    expect(isOfficialHost('anthropic-compatible', 'gateway.example.com')).toBe(true);
  });

  it('takes nothing that is not below the vendor’s own domain', () => {
    const region = fc.stringMatching(/^[a-z0-9.@/-]{0,20}$/);
    const joined = fc.tuple(region, fc.constantFrom(...NAMES), region, region);
    fc.assert(
      fc.property(joined, ([before, kind, middle, after]) => {
        const { hosts, under } = KINDS[kind];
        for (const one of hosts) {
          const host = `${before}${one.replace('.', `${middle}.`)}${after}`;
          if (isOfficialHost(kind, host)) {
            expect(host.endsWith(under)).toBe(true);
            expect(host).toMatch(/^[a-z0-9.-]+$/);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('mayCallHost', () => {
  it('allows another host only where an admin has said so', () => {
    const host = 'gateway.example.com';
    expect(mayCallHost({ kind: 'anthropic' }, host)).toBe(false);
    expect(mayCallHost({ kind: 'anthropic', allowsOtherHost: false }, host)).toBe(false);
    expect(mayCallHost({ kind: 'anthropic', allowsOtherHost: true }, host)).toBe(true);
    expect(mayCallHost({ kind: 'anthropic' }, 'api.anthropic.com')).toBe(true);
  });
});

describe('isCloudName', () => {
  it('takes what can be one part of a host’s name, and nothing that ends or leaves it', () => {
    for (const good of ['us-east5', 'global', 'a', '0', 'a'.repeat(63)]) {
      expect(isCloudName(good)).toBe(true);
    }
    const bad = [
      '',
      'a'.repeat(64),
      'US',
      'a.b',
      'a/b',
      'a@b',
      'a#',
      'a\\',
      'a%2f',
      'ü',
      'a\n',
      'a b',
    ];
    expect(bad.filter(isCloudName)).toEqual([]);
  });
});
