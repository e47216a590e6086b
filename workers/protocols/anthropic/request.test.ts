import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Essentials } from '../protocol';
import type { AnthropicOperation } from './request';
import { readEssentials } from './request';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MESSAGES = [{ role: 'user', content: 'hello' }];
const PLAIN = { model: 'claude-opus-5-5', max_tokens: 16, messages: MESSAGES };

function bytesOf(body: unknown): Uint8Array {
  return encoder.encode(typeof body === 'string' ? body : JSON.stringify(body));
}

function essentials(body: unknown, operation: AnthropicOperation = 'messages'): Essentials {
  const result = readEssentials(bytesOf(body), operation);
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

function refusal(body: unknown, operation: AnthropicOperation = 'messages'): string {
  const result = readEssentials(bytesOf(body), operation);
  if (result.ok) throw new Error('was not refused');
  expect(result.error.kind).toBe('bad-request');
  return result.error.kind === 'bad-request' ? result.error.message : '';
}

function withFields(fields: object): Essentials {
  return essentials({ ...PLAIN, ...fields });
}

/** The text that the prefix ranges point at. */
function prefixOf(body: unknown): string[] {
  const bytes = bytesOf(body);
  const { conversation } = essentials(body);
  if (conversation.kind !== 'prefix') throw new Error(`found a ${conversation.kind}`);
  return conversation.ranges.map(([start, end]) => decoder.decode(bytes.subarray(start, end)));
}

describe('readEssentials', () => {
  it('reads a plain request', () => {
    expect(essentials({ ...PLAIN, stream: true })).toEqual({
      model: 'claude-opus-5-5',
      fallbackModels: [],
      sizes: {
        stream: true,
        maxTokens: 16,
        textBytes: bytesOf({ ...PLAIN, stream: true }).length,
        media: { small: 0, medium: 0, large: 0 },
        cacheTtl: 'none',
        serverToolUses: 0,
      },
      speed: null,
      geo: null,
      tier: null,
      heldIds: [],
      fields: [],
      toolTypes: [],
      conversation: { kind: 'prefix', ranges: [[81, 86]] },
    });
  });

  it('reads what was asked of speed, place and tier', () => {
    const found = withFields({ speed: 'fast', inference_geo: 'us', service_tier: 'auto' });
    expect(found).toMatchObject({ speed: 'fast', geo: 'us', tier: 'auto' });
  });

  it('finds the same whatever the order of the fields and however keys are written', () => {
    const reordered = `{"messages":[{"content":"hello","role":"user"}],
      "max_tok\\u0065ns" : 16 , "mod\\u0065l":"claude-opus-5-5"}`;
    const found = essentials(reordered);
    expect(found.model).toBe('claude-opus-5-5');
    expect(found.sizes.maxTokens).toBe(16);
    expect(prefixOf(reordered)).toEqual(['hello']);
  });

  it('never refuses over unknown fields, whatever they hold', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^x_[a-z]{0,8}$/), fc.jsonValue()), (extra) => {
        expect(withFields(extra).model).toBe(PLAIN.model);
      }),
    );
  });

  it('names the documented optional fields and the types of tools, each once', () => {
    const tools = [
      { name: 'mine', input_schema: { type: 'object', tags: 1 } },
      { type: 'custom', name: 'other', input_schema: {} },
      { type: 'web_search_20260318', name: 'web_search' },
      { type: 'custom', name: 'third', input_schema: {} },
    ];
    const found = withFields({ tools, safeguards: [], speed: null, metadata: { thread: 1 }, x: 1 });
    expect(found.fields).toEqual(['safeguards', 'speed']);
    expect(found.toolTypes).toEqual(['custom', 'web_search_20260318']);
    const escaped = JSON.stringify({ ...PLAIN, tags: [] }).replace(
      '"tags"',
      String.raw`"t\u0061gs"`,
    );
    expect(essentials(escaped).fields).toEqual(['tags']);
  });

  it('allows a max_tokens of 0, which warms the cache', () => {
    expect(withFields({ max_tokens: 0 }).sizes.maxTokens).toBe(0);
    expect(Object.is(withFields({ max_tokens: -0 }).sizes.maxTokens, 0)).toBe(true);
  });

  it('needs no max_tokens to count tokens, and ignores one', () => {
    const { model, messages } = PLAIN;
    expect(essentials({ model, messages }, 'count_tokens').sizes.maxTokens).toBeNull();
    const odd = { model, messages, max_tokens: 'many' };
    expect(essentials(odd, 'count_tokens').sizes.maxTokens).toBeNull();
  });

  it('names the models and the largest bound of fallbacks and advisors', () => {
    const found = withFields({
      fallbacks: [
        { model: 'claude-sonnet-5-5', max_tokens: 64, speed: 'fast' },
        { model: 'claude-sonnet-5-5' },
        { model: 'claude-haiku-5-5', max_tokens: null },
      ],
      tools: [
        { type: 'advisor_20260301', name: 'advisor', model: 'claude-fable-5-1', max_uses: 2 },
      ],
    });
    expect(found.fallbackModels).toEqual([
      'claude-sonnet-5-5',
      'claude-haiku-5-5',
      'claude-fable-5-1',
    ]);
    expect(found.sizes.maxTokens).toBe(64);
    expect(found.sizes.serverToolUses).toBe(2);
    expect(found.speed).toBe('fast');
    expect(withFields({ fallbacks: 'default' }).fallbackModels).toEqual([]);
  });
});

describe('readEssentials refuses', () => {
  it('tools of endless types', () => {
    const tools = Array.from({ length: 101 }, (_, index) => ({ type: `tool_${index}`, name: 'x' }));
    expect(refusal({ ...PLAIN, tools })).toBe('tools: at most 100 different types in one request');
    expect(essentials({ ...PLAIN, tools: tools.slice(1) }).toolTypes).toHaveLength(100);
  });

  it.each([
    ['no JSON at all', 'model=x', 'The request body is not valid JSON: expected a value at byte 0'],
    ['an empty body', '', 'The request body is not valid JSON: expected a value at byte 0'],
    ['a body cut short', '{"model":"m"', "The request body is not valid JSON: expected ',' or '}'"],
    ['data after the object', '{} x', 'The request body is not valid JSON: unexpected data after'],
    ['an array', [PLAIN], 'The request body is not valid: Input should be a JSON object'],
    ['a missing model', { max_tokens: 1, messages: [] }, 'model: Field required'],
    ['an empty model', { ...PLAIN, model: '' }, 'model: String should have at least 1'],
    ['a model that is a number', { ...PLAIN, model: 5 }, 'model: Input should be a valid string'],
    ['an endless model', { ...PLAIN, model: 'm'.repeat(257) }, 'model: String should have at most'],
    ['an endless escaped model', { ...PLAIN, model: '\n'.repeat(9_999) }, 'model: String should'],
    ['missing messages', { model: 'm', max_tokens: 1 }, 'messages: Field required'],
    ['messages as text', { ...PLAIN, messages: 'hi' }, 'messages: Input should be a valid list'],
    ['missing max_tokens', { model: 'm', messages: [] }, 'max_tokens: Field required'],
    [
      'max_tokens as text',
      { ...PLAIN, max_tokens: '1' },
      'max_tokens: Input should be a valid int',
    ],
    ['max_tokens null', { ...PLAIN, max_tokens: null }, 'max_tokens: Input should be a valid int'],
    ['half a token', { ...PLAIN, max_tokens: 1.5 }, 'max_tokens: Input should be a valid integer'],
    [
      'tokens beyond counting',
      `{"max_tokens":1e99}`,
      'max_tokens: Input should be a valid integer',
    ],
    ['negative max_tokens', { ...PLAIN, max_tokens: -1 }, 'max_tokens: Input should be greater'],
    ['stream as text', { ...PLAIN, stream: 'true' }, 'stream: Input should be a valid boolean'],
  ])('%s', (_, body, message) => {
    expect(refusal(body)).toContain(message);
  });

  it.each(['model', 'messages', 'max_tokens', 'stream', 'container', 'thread', 'tools'])(
    'two fields named %s, because parsers differ in which they take',
    (field) => {
      const value = JSON.stringify({ ...PLAIN, stream: true }[field] ?? null);
      const body = `${JSON.stringify({ ...PLAIN, [field]: undefined }).slice(0, -1)},
        "${field}":${value},"\\u00${field.charCodeAt(0).toString(16)}${field.slice(1)}":${value}}`;
      expect(refusal(body)).toBe(`${field}: Field given more than once`);
    },
  );

  it('an invalid escape in a string that it reads', () => {
    expect(refusal('{"model":"\\x"}')).toBe(
      'The request body is not valid JSON: string is not valid at byte 10',
    );
  });

  it('structurally corrupted bodies exactly when JSON.parse does', () => {
    const text = JSON.stringify({ ...PLAIN, system: [{ type: 'text', text: 'abc' }], n: [1, {}] });
    const unit = fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '0', '-');
    const change = fc.record({
      at: fc.nat(text.length),
      cut: fc.nat(2),
      add: fc.string({ unit, maxLength: 2 }),
    });
    fc.assert(
      fc.property(change, ({ at, cut, add }) => {
        const broken = text.slice(0, at) + add + text.slice(at + cut);
        let parses = true;
        try {
          JSON.parse(broken);
        } catch {
          parses = false;
        }
        const result = readEssentials(bytesOf(broken), 'messages');
        const notJson =
          !result.ok &&
          result.error.kind === 'bad-request' &&
          result.error.message.startsWith('The request body is not valid JSON');
        expect(notJson).toBe(!parses);
      }),
      { numRuns: 1_000 },
    );
  });
});
