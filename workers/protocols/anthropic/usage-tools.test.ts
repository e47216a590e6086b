import { describe, expect, it } from 'vitest';
import type { ServerToolCalls } from '../protocol';
import codeExecution from './__fixtures__/code-execution.sse?raw';
import webSearch from './__fixtures__/web-search.sse?raw';
import { createStreamMeter } from './usage';
import { callsOf, countToolBlock, markReported, newToolBlocks } from './usage-tools';

function callsAfter(stream: string): ServerToolCalls {
  const meter = createStreamMeter({ askedModel: 'claude-opus-5-5', cacheTtl: '5m' });
  meter.push(new TextEncoder().encode(stream));
  return meter.reading().serverTools;
}

describe('the calls of tools in an answer', () => {
  it('are known before any usage tells of them, and in the input once it is reported', () => {
    const before = webSearch.slice(0, webSearch.indexOf('event: content_block_delta'));
    expect(callsAfter(before)).toEqual({ calls: 1, searches: 1, unreportedCalls: 1 });
    // The first of its closing figures says nothing of the input.
    const between = webSearch.slice(0, webSearch.lastIndexOf('event: message_delta'));
    expect(callsAfter(between)).toEqual({ calls: 1, searches: 1, unreportedCalls: 1 });
    expect(callsAfter(webSearch)).toEqual({ calls: 1, searches: 1, unreportedCalls: 0 });
  });

  it('are searches only when they search', () => {
    expect(callsAfter(codeExecution)).toEqual({ calls: 1, searches: 0, unreportedCalls: 1 });
  });

  it('are counted by their results when those are all that is told, and once by both', () => {
    const seen = newToolBlocks();
    countToolBlock(seen, 'web_search_tool_result', undefined);
    expect(callsOf(seen)).toEqual({ calls: 1, searches: 1, unreportedCalls: 1 });
    countToolBlock(seen, 'server_tool_use', 'web_search');
    countToolBlock(seen, 'mcp_tool_use', 'web_search');
    markReported(seen);
    countToolBlock(seen, 'mcp_tool_result', undefined);
    countToolBlock(seen, 'mcp_tool_result', undefined);
    expect(callsOf(seen)).toMatchObject({ calls: 3, unreportedCalls: 1 });
  });

  it('are not those that the client is to run', () => {
    const seen = newToolBlocks();
    countToolBlock(seen, 'tool_use', 'web_search');
    countToolBlock(seen, 'tool_result', undefined);
    expect(callsOf(seen)).toEqual({ calls: 0, searches: 0, unreportedCalls: 0 });
  });
});
