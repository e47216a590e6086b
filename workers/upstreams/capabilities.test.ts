import { describe, expect, it } from 'vitest';
import type { AccountKind } from '../domain/snapshot';
import { ACCOUNT_KINDS } from '../domain/snapshot';
import { betasFor, leftOutFields, refusalOf } from './capabilities';

const NOTHING = { betas: [], fields: [], toolTypes: [] };
const CLOUDS: readonly AccountKind[] = ['bedrock', 'bedrock-mantle', 'vertex'];
/** Claude Code's own list, print mode and interactive. */
const CLAUDE_CODE = [
  'claude-code-20250219',
  'interleaved-thinking-2025-05-14',
  'context-management-2025-06-27',
  'advanced-tool-use-2025-11-20',
  'effort-2025-11-24',
  'afk-mode-2026-01-31',
];

function refusers(asked: Partial<typeof NOTHING> | object): readonly AccountKind[] {
  return ACCOUNT_KINDS.filter((kind) => refusalOf(kind, { ...NOTHING, ...asked }) !== null);
}

describe('what a kind refuses', () => {
  it('is nothing of a plain request', () => {
    expect(refusers({ fields: ['metadata', 'output_config', 'x'], toolTypes: ['custom'] })).toEqual(
      [],
    );
  });

  it('is safeguards on the clouds, named so that clients ask again without', () => {
    expect(refusers({ fields: ['safeguards'] })).toEqual(CLOUDS);
    expect(refusalOf('bedrock', { ...NOTHING, fields: ['tags', 'safeguards'] })).toEqual({
      field: 'safeguards',
      why: 'safeguards: Extra inputs are not permitted: Amazon Bedrock does not take it',
    });
  });

  it.each(['mcp_servers', 'container', 'fallbacks', 'thread', 'billing_policy'])(
    'is %s on the clouds',
    (field) => {
      expect(refusers({ fields: [field] })).toEqual(CLOUDS);
    },
  );

  it.each(['speed', 'inference_geo'])('is %s on all clouds, Foundry too', (field) => {
    expect(refusers({ fields: [field] })).toEqual([...CLOUDS, 'foundry']);
  });

  it('is a tool that runs where a cloud has none', () => {
    expect(refusers({ toolTypes: ['web_search_20260318'] })).toEqual(['bedrock', 'bedrock-mantle']);
    expect(refusers({ toolTypes: ['code_execution_20260521'] })).toEqual(CLOUDS);
    expect(refusers({ toolTypes: ['bash_20250124', 'memory_20250818'] })).toEqual([]);
    expect(refusalOf('vertex', { ...NOTHING, toolTypes: ['mcp_toolset'] })).toEqual({
      field: 'tools',
      why: 'tools: Google Cloud does not offer the tool mcp_toolset',
    });
  });
});

describe('what a kind is sent', () => {
  it('has the tags of a billing group where they are known, and nowhere else', () => {
    const leavers = ACCOUNT_KINDS.filter((kind) => leftOutFields(kind).includes('tags'));
    expect(leavers).toEqual(CLOUDS);
    const keepers = ACCOUNT_KINDS.filter((kind) =>
      betasFor(kind, ['request-tags-2026-08-21']).includes('request-tags-2026-08-21'),
    );
    expect(keepers).toEqual(ACCOUNT_KINDS.filter((kind) => !CLOUDS.includes(kind)));
  });

  it('is every beta as it came where Anthropic itself answers', () => {
    for (const kind of ['anthropic', 'anthropic-compatible', 'aws'] as const) {
      expect(betasFor(kind, CLAUDE_CODE)).toEqual(CLAUDE_CODE);
    }
  });

  it.each(CLOUDS)(
    'is by %s another name for tool search, once, and no beta without use',
    (kind) => {
      const betas = [...CLAUDE_CODE, 'tool-search-tool-2025-10-19', 'fast-mode-2026-02-01'];
      expect(betasFor(kind, betas)).toEqual([
        'claude-code-20250219',
        'interleaved-thinking-2025-05-14',
        'context-management-2025-06-27',
        'tool-search-tool-2025-10-19',
        'effort-2025-11-24',
      ]);
    },
  );

  it('is what nobody knows, everywhere', () => {
    for (const kind of ACCOUNT_KINDS) {
      expect(betasFor(kind, ['new-2027-01-01', 'fast-modes', '__proto__'])).toEqual([
        'new-2027-01-01',
        'fast-modes',
        '__proto__',
      ]);
    }
  });
});
