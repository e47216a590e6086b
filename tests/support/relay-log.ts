// What the relay under test has written of a request: its own line, found by its id.

import { readFileSync } from 'node:fs';
import { inject } from 'vitest';
import type { OpenReply } from './client';
import { eventually } from './client';

export interface RequestLine {
  readonly closing: string;
  readonly certainty: string;
  readonly costNanos: number;
}

/** The line that is written when a request has been settled. */
export async function settledLine({ headers }: Pick<OpenReply, 'headers'>): Promise<RequestLine> {
  const { logFile } = inject('relay');
  const begin = `{"event":"request","request":"${String(headers['x-relay-request-id'])}"`;
  return eventually(`a line begins with ${begin}`, async () => {
    const line = readFileSync(logFile, 'utf8')
      .split('\n')
      .find((text) => text.includes(begin));
    // The relay's own words.
    return line === undefined ? null : (JSON.parse(line.slice(line.indexOf(begin))) as RequestLine);
  });
}
