import { describe, expect, it } from 'vitest';
import type { Essentials } from '../protocol';
import { readEssentials } from './request';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MESSAGES = [{ role: 'user', content: 'hello' }];
const PLAIN = { model: 'claude-opus-5-5', max_tokens: 16, messages: MESSAGES };
const SESSION = '5d1f9a40-1234-4321-9999-123456789abc';

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

/** The text that the prefix ranges point at. */
function prefixOf(body: unknown): string[] {
  const bytes = bytesOf(body);
  const { conversation } = essentials(body);
  if (conversation.kind !== 'prefix') throw new Error(`found a ${conversation.kind}`);
  return conversation.ranges.map(([start, end]) => decoder.decode(bytes.subarray(start, end)));
}

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

  it.each([
    'someone',
    '{"session_id":5}',
    '{"session_id":""}',
    '{broken',
    'null',
    `user__${SESSION}`,
  ])('is not taken from a user id without a session: %s', (user_id) => {
    expect(withFields({ metadata: { user_id } }).conversation.kind).toBe('prefix');
  });

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
        {
          content: [
            { type: 'text', text: 'first' },
            { type: 'text', text: 'words' },
          ],
          role: 'user',
        },
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
    const later = [
      { role: 'user', content: 'first' },
      { role: 'assistant', content: [block] },
    ];
    expect(prefixOf(one)).toEqual(prefixOf({ ...PLAIN, system: 'S', messages: later }));
  });

  it('points at no more than the first 64 kB of either part', () => {
    const long = 'x'.repeat(100_000);
    const body = { ...PLAIN, system: long, messages: [{ role: 'user', content: long }] };
    expect(prefixOf(body).map((part) => part.length)).toEqual([65_536, 65_536]);
  });
});
