import { describe, expect, it } from 'vitest';
import type { Essentials } from '../protocol';
import { readEssentials } from './request';

const encoder = new TextEncoder();
const MESSAGES = [{ role: 'user', content: 'hello' }];
const PLAIN = { model: 'claude-opus-5-5', max_tokens: 16, messages: MESSAGES };

function bytesOf(body: unknown): Uint8Array {
  return encoder.encode(typeof body === 'string' ? body : JSON.stringify(body));
}

function essentials(body: unknown): Essentials {
  const result = readEssentials(bytesOf(body), 'messages');
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

function withFields(fields: object): Essentials {
  return essentials({ ...PLAIN, ...fields });
}

function withContent(...content: readonly unknown[]): Essentials {
  return withFields({ messages: [{ role: 'user', content }] });
}

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
    ['diagnostics.previous_message_id', { diagnostics: { previous_message_id: 'msg_2' } }, 'msg_2'],
    ['previous_response_id', { previous_response_id: 'resp_1' }, 'resp_1'],
    ['file_id', { future: { deep: [[{ file_id: 'file_1' }]] } }, 'file_1'],
  ])('finds %s in %j', (field, fields, id) => {
    expect(withFields(fields).heldIds).toEqual([{ field, id }]);
  });

  it('finds files in documents, tool results and uploads, each once', () => {
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

  it('refuses more ids than can be looked up, rather than letting one go unchecked', () => {
    const files = Array.from({ length: 101 }, (_, index) => ({ file_id: `file_${index}` }));
    expect(withContent(...files.slice(0, 100)).heldIds).toHaveLength(100);
    const result = readEssentials(bytesOf({ ...PLAIN, messages: files }), 'messages');
    expect(JSON.stringify(result)).toContain('at most 100 different ids');
    const longId = { ...PLAIN, container: 'c'.repeat(5_000) };
    expect(JSON.stringify(readEssentials(bytesOf(longId), 'messages'))).toContain('is too long');
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
    expect(withFields({ tools }).sizes.serverToolUses).toBe(3 + 50 + 5 + 50);
  });

  it.each([
    [20, { max_uses: 2 }],
    [2, { max_uses: 2, max_content_tokens: 10_000 }],
    [4, { max_uses: 2, max_content_tokens: 10_001 }],
    [2, { max_uses: 2, max_content_tokens: -1 }],
    [0, { max_uses: 0, max_content_tokens: 1_000_000 }],
  ])('count %i uses of 10,000 tokens for a fetch of whole pages with %j', (uses, fields) => {
    const tools = [{ type: 'web_fetch_20260318', name: 'web_fetch', ...fields }];
    expect(withFields({ tools }).sizes.serverToolUses).toBe(uses);
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
    const emptied = {
      ...PLAIN,
      messages: [{ role: 'user', content: lengths.map(() => image(0)) }],
    };
    const text = bytesOf({ type: 'text', text: 'look' }).length + 1;
    expect(found.sizes.textBytes).toBe(bytesOf(emptied).length + text);
  });

  it('count a document as large, however few bytes it has, also inside a tool’s result', () => {
    const source = { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0x' };
    const document = { type: 'document', source };
    const result = { type: 'tool_result', tool_use_id: 'toolu_1', content: [document, document] };
    const { media } = withContent(document, result).sizes;
    expect(media).toEqual({ small: 0, medium: 0, large: 3 });
    // Should a hostile body give two, one that is no image decides.
    const body = JSON.stringify({ ...PLAIN, messages: ['SOURCE'] });
    const twice = '{"type":"base64","media_type":"application/pdf","media_type":"image/png"}';
    const hostile = essentials(body.replace('"SOURCE"', `{"source":${twice}}`));
    expect(hostile.sizes.media).toEqual({ small: 0, medium: 0, large: 1 });
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
