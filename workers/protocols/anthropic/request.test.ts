import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Essentials } from '../protocol';
import type { AnthropicOperation } from './request';
import { readEssentials } from './request';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MESSAGES = [{ role: 'user', content: 'hello' }];
const PLAIN = { model: 'claude-opus-5-5', max_tokens: 16, messages: MESSAGES };
const SESSION = '5d1f9a40-1234-4321-9999-123456789abc';

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

function withContent(...content: readonly unknown[]): Essentials {
  return withFields({ messages: [{ role: 'user', content }] });
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
      tools: [{ type: 'advisor_20260301', name: 'advisor', model: 'claude-fable-5-1', max_uses: 2 }],
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
    ['max_tokens as text', { ...PLAIN, max_tokens: '1' }, 'max_tokens: Input should be a valid int'],
    ['max_tokens null', { ...PLAIN, max_tokens: null }, 'max_tokens: Input should be a valid int'],
    ['half a token', { ...PLAIN, max_tokens: 1.5 }, 'max_tokens: Input should be a valid integer'],
    ['tokens beyond counting', `{"max_tokens":1e99}`, 'max_tokens: Input should be a valid integer'],
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

  it('more held ids than can be looked up, rather than letting one go unchecked', () => {
    const files = Array.from({ length: 101 }, (_, index) => ({ file_id: `file_${index}` }));
    expect(withContent(...files.slice(0, 100)).heldIds).toHaveLength(100);
    expect(refusal({ ...PLAIN, messages: files })).toContain('at most 100 different ids');
    const longId = { ...PLAIN, container: 'c'.repeat(5_000) };
    expect(refusal(longId)).toBe('container: String is too long');
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

describe('ids of things that a provider holds', () => {
  it.each([
    ['container', { container: 'ctr_1' }, 'ctr_1'],
    ['container', { container: { id: 'ctr_1', skills: null } }, 'ctr_1'],
    [
      'container.skills',
      { container: { skills: [{ skill_id: 'skill_1', type: 'custom', version: 'latest' }] } },
      'skill_1',
    ],
    ['container.skills', { container: { skills: [{ skill_id: 'skill_1' }] } }, 'skill_1'],
    [
      'thread.previous_message_id',
      { thread: { type: 'continue', previous_message_id: 'msg_1' } },
      'msg_1',
    ],
    ['thread', { thread: { type: 'continue', thread_id: 'thr_1' } }, 'thr_1'],
    ['fallback_credit_token', { fallback_credit_token: 'tok' }, 'tok'],
    ['fallback_credit_token', { fallback_credit_token: { mode: 'strict', token: 'tok' } }, 'tok'],
    [
      'diagnostics.previous_message_id',
      { diagnostics: { previous_message_id: 'msg_2' } },
      'msg_2',
    ],
    ['previous_response_id', { previous_response_id: 'resp_1' }, 'resp_1'],
    ['file_id', { future: { deep: [[{ file_id: 'file_1' }]] } }, 'file_1'],
  ])('finds %s in %j', (field, fields, id) => {
    expect(withFields(fields).heldIds).toEqual([{ field, id }]);
  });

  it('finds files in documents, tool results and uploads, also under escaped keys, each once', () => {
    const body = JSON.stringify({
      ...PLAIN,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'document', source: { type: 'file', file_id: 'file_1' } },
            { type: 'container_upload', FILE_ID: 'file_2' },
            {
              type: 'tool_result',
              content: [{ type: 'image', source: { file_id: 'file_3', type: 'file' } }],
            },
            { type: 'document', source: { type: 'file', file_id: 'file_1' } },
          ],
        },
      ],
    }).replace('FILE_ID', 'file\\u005fid');
    expect(essentials(body).heldIds.map((held) => held.id)).toEqual(['file_1', 'file_2', 'file_3']);
  });

  it('lets an agent use file_id in its own tools, schemas, metadata and texts', () => {
    const found = withFields({
      metadata: { user_id: 'u', file_id: 'mine' },
      output_config: { format: { type: 'json_schema', schema: { default: { file_id: 'mine' } } } },
      tools: [
        {
          name: 'read',
          input_schema: { type: 'object', examples: [{ file_id: 'mine' }] },
          input_examples: [{ file_id: 'mine', cache_control: { ttl: '1h' } }],
        },
      ],
      messages: [
        { role: 'user', content: '{"file_id":"mine"}' },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', name: 'read', input: { file_id: 'mine', deep: [{}] } }],
        },
      ],
    });
    expect(found.heldIds).toEqual([]);
    expect(found.sizes.cacheTtl).toBe('none');
  });

  it('lets null, creation of a thread and the vendor\u2019s own skills pass', () => {
    const found = withFields({
      container: { id: null, skills: [{ type: 'anthropic', skill_id: 'pdf', version: 'latest' }] },
      thread: { type: 'create' },
      diagnostics: { previous_message_id: null },
      fallback_credit_token: null,
      previous_response_id: null,
      extra: { file_id: null },
    });
    expect(found.heldIds).toEqual([]);
  });
});

describe('sizes', () => {
  it.each([
    ['none', {}],
    ['5m', { cache_control: { type: 'ephemeral' } }],
    ['5m', { system: [{ type: 'text', text: 'x', cache_control: { ttl: '5m' } }] }],
    ['1h', { tools: [{ name: 't', cache_control: { type: 'ephemeral', ttl: '1h' } }] }],
    ['1h', { tools: [{ type: 'advisor_20260301', model: 'm', caching: { ttl: '1h' } }] }],
    ['1h', { system: [{ cache_control: { ttl: '24h' } }, { cache_control: { ttl: '5m' } }] }],
    ['none', { cache_control: null }],
  ])('take %s as the longest cache lifetime of %j', (ttl, fields) => {
    expect(withFields(fields).sizes.cacheTtl).toBe(ttl);
  });

  it('count declared server tools by their max_uses, five where none is set', () => {
    const tools = [
      { type: 'web_search_20260318', name: 'web_search', max_uses: 3 },
      { type: 'web_fetch_20260318', name: 'web_fetch' },
      { type: 'code_execution_20260521', name: 'code_execution', max_uses: null },
      { type: 'mcp_toolset', mcp_server_name: 's' },
      { type: 'bash_20250124', name: 'bash', max_uses: 50 },
      { type: 'custom', name: 'web_search_helper', input_schema: {}, max_uses: 50 },
      { type: 'tool_search_tool_regex_20251119', name: 'tool_search' },
    ];
    expect(withFields({ tools }).sizes.serverToolUses).toBe(3 + 5 + 5 + 5);
  });

  it('count a server tool that the conversation adds', () => {
    const definition = { type: 'web_search_20260318', name: 'web_search', max_uses: 7 };
    const tool = { type: 'tool_definition', definition };
    expect(withContent({ type: 'tool_addition', tool }).sizes.serverToolUses).toBe(7);
  });

  it('count base64 media by decoded size and leave them out of the text', () => {
    const image = (length: number): object => ({
      type: 'image',
      source: { data: 'A'.repeat(length), media_type: 'image/png', type: 'base64' },
    });
    const edge = (64 * 1_024 * 4) / 3;
    const lengths = [8, Math.floor(edge), Math.ceil(edge) + 3, 1_500_000];
    const found = withContent({ type: 'text', text: 'look' }, ...lengths.map(image));
    expect(found.sizes.media).toEqual({ small: 2, medium: 1, large: 1 });
    const emptied = { ...PLAIN, messages: [{ role: 'user', content: lengths.map(() => image(0)) }] };
    const text = bytesOf({ type: 'text', text: 'look' }).length + 1;
    expect(found.sizes.textBytes).toBe(bytesOf(emptied).length + text);
  });

  it('count media at a URL or in a file as large, and plain text sources as text', () => {
    const plain = { type: 'text', media_type: 'text/plain', data: 'word '.repeat(100) };
    const found = withContent(
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
      { type: 'document', source: { type: 'file', file_id: 'file_1' } },
      { type: 'document', source: plain },
      { type: 'search_result', source: 'https://example.com', title: 't', content: [] },
    );
    expect(found.sizes.media).toEqual({ small: 0, medium: 0, large: 2 });
    expect(found.sizes.textBytes).toBeGreaterThan(500);
  });

  it('do not believe a source that says two types', () => {
    const twice = JSON.stringify({ ...PLAIN, messages: ['SOURCE'] }).replace(
      '"SOURCE"',
      '{"source":{"type":"text","type":"base64","data":"aaaaaaaa"}}',
    );
    expect(essentials(twice).sizes.media.small).toBe(0);
    expect(essentials(twice).sizes.textBytes).toBe(twice.length);
  });
});

describe('what ties a conversation together', () => {
  it('is the session id in metadata.user_id, in both forms', () => {
    const newer = JSON.stringify({ device_id: 'a', account_uuid: '', session_id: SESSION });
    const older = `user_${'0a'.repeat(32)}_account__session_${SESSION}`;
    for (const user_id of [newer, older]) {
      const thread = { type: 'continue', previous_message_id: 'msg_1' };
      const { conversation } = withFields({ metadata: { user_id }, thread });
      expect(conversation).toEqual({ kind: 'session', value: SESSION });
    }
  });

  it.each(['someone', '{"session_id":5}', '{"session_id":""}', '{broken', 'null', `user__${SESSION}`])(
    'is not taken from a user id without a session: %s',
    (user_id) => {
      expect(withFields({ metadata: { user_id } }).conversation.kind).toBe('prefix');
    },
  );

  it('is the thread when there is no session', () => {
    const thread = { type: 'continue', previous_message_id: 'msg_1' };
    expect(withFields({ thread }).conversation).toEqual({ kind: 'thread', value: 'msg_1' });
  });

  it('is else the system text without the attribution block and the first user message', () => {
    const attribution = 'x-anthropic-billing-header: cc_version=2.1.330.abc; cc_entrypoint=cli;';
    const body = {
      ...PLAIN,
      system: [
        { type: 'text', text: attribution },
        { type: 'text', text: 'You are', cache_control: { type: 'ephemeral' } },
        { type: 'text', text: 'helpful 日本' },
      ],
      messages: [
        { role: 'system', content: 'not this' },
        { content: [{ type: 'text', text: 'first' }, { type: 'text', text: 'words' }], role: 'user' },
        { role: 'assistant', content: 'answer' },
        { role: 'user', content: 'second' },
      ],
    };
    expect(prefixOf(body)).toEqual(['You are', 'helpful 日本', 'first', 'words']);
    expect(prefixOf({ ...PLAIN, system: attribution })).toEqual([attribution, 'hello']);
  });

  it('points at the same text on every turn, wherever cache marks move', () => {
    const block = { type: 'text', text: 'first', cache_control: { type: 'ephemeral' } };
    const one = { ...PLAIN, system: 'S', messages: [{ role: 'user', content: [block] }] };
    const later = [{ role: 'user', content: 'first' }, { role: 'assistant', content: [block] }];
    expect(prefixOf(one)).toEqual(prefixOf({ ...PLAIN, system: 'S', messages: later }));
  });

  it('points at no more than the first 64 kB of either part', () => {
    const long = 'x'.repeat(100_000);
    const body = { ...PLAIN, system: long, messages: [{ role: 'user', content: long }] };
    expect(prefixOf(body).map((part) => part.length)).toEqual([65_536, 65_536]);
  });
});
