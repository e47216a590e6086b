// Counts the calls of tools that ran upstream by the blocks of an answer, for those whose usage is
// never told. It does not know what a call costs, and reads no usage.

import type { ServerToolCalls } from '../protocol';

/** What has been seen: a call is told by its own block and by that of its result, or by one. */
export interface ToolBlocks {
  readonly all: Seen;
  readonly searches: Seen;
  /** Calls that were in the input when it was last reported. */
  reportedCalls: number;
}

interface Seen {
  calls: number;
  results: number;
}

const SEARCH = 'web_search';
const RESULT = '_tool_result';

/** None seen. */
export function newToolBlocks(): ToolBlocks {
  return {
    all: { calls: 0, results: 0 },
    searches: { calls: 0, results: 0 },
    reportedCalls: 0,
  };
}

/** Counts a block of this type; `name` is what a call says of its tool. Others change nothing. */
export function countToolBlock(seen: ToolBlocks, type: string, name: unknown): void {
  if (type === 'server_tool_use' || type === 'mcp_tool_use') {
    seen.all.calls += 1;
    if (name === SEARCH) seen.searches.calls += 1;
  } else if (type.endsWith(RESULT)) {
    seen.all.results += 1;
    if (type === SEARCH + RESULT) seen.searches.results += 1;
  }
}

/** The input was reported: what the calls so far have brought is in it. */
export function markReported(seen: ToolBlocks): void {
  seen.reportedCalls = countOf(seen.all);
}

/** The calls so far. */
export function callsOf({ all, searches, reportedCalls }: ToolBlocks): ServerToolCalls {
  const calls = countOf(all);
  return { calls, searches: countOf(searches), unreportedCalls: calls - reportedCalls };
}

function countOf({ calls, results }: Seen): number {
  return Math.max(calls, results);
}
