// The Claude API and hosts that speak it: which of the client's headers go on, and the account's
// credential in place of the client's (reference: Anthropic wire facts §1, gateway contract §3).

import { ok } from '../domain/result';
import type { Upstream } from './upstream';

/** Names that pass besides the open lists below. */
const PASSED = new Set(['accept', 'content-type', 'content-encoding', 'user-agent', 'x-app']);

/** Open lists: whatever begins with these passes, known or not. */
const PASSED_PREFIXES = ['anthropic-', 'x-claude-code-', 'x-claude-1p-', 'x-stainless-'] as const;

/** The account sets its own. */
const WITHHELD = new Set(['anthropic-workspace-id', 'anthropic-user-profile-id']);

export const anthropic: Upstream = {
  operations: new Set(['messages', 'count_tokens', 'models', 'model']),

  async prepare(account, credential, call) {
    const headers = new Headers();
    for (const [name, value] of call.headers) if (passes(name)) headers.set(name, value);
    headers.set('x-api-key', credential.reveal());
    // What is asked for is what can be metered and passed on as it came.
    headers.set('accept-encoding', 'identity');
    const url = `${account.baseUrl}${call.path}${call.search}`;
    return ok({ url, method: call.method, headers, body: call.body?.bytes ?? null });
  },

  translate: (response) => response,
};

/** Whether a client's header goes upstream; names come in lower case. */
export function passes(name: string): boolean {
  if (WITHHELD.has(name)) return false;
  return PASSED.has(name) || PASSED_PREFIXES.some((prefix) => name.startsWith(prefix));
}
