// Which headers pass between client and upstream. Open lists: what Anthropic's clients add with a
// release passes without this file's doing (reference: gateway contract §3).

/** Names that pass besides the open lists below. */
const PASSED = new Set(['accept', 'content-type', 'content-encoding', 'user-agent', 'x-app']);

/** Open lists: whatever begins with these passes, known or not. */
const PASSED_PREFIXES = ['anthropic-', 'x-claude-code-', 'x-claude-1p-', 'x-stainless-'] as const;

/** The account sets its own. */
const WITHHELD = new Set(['anthropic-workspace-id', 'anthropic-user-profile-id']);

/** What a cloud's answer may tell; all else describes the cloud, the connection or the account. */
const ANSWERED = new Set([
  'cache-control',
  'content-encoding',
  'content-type',
  'location',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
]);

/** Where clouds write a call's own id. */
const REQUEST_IDS = ['request-id', 'x-amzn-requestid', 'apim-request-id'] as const;

/** Whether a client's header goes upstream; names come in lower case. */
export function passes(name: string): boolean {
  if (WITHHELD.has(name)) return false;
  return PASSED.has(name) || PASSED_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** The client's headers for a host that speaks its protocol. */
export function headersFor(client: Headers): Headers {
  const headers = new Headers();
  for (const [name, value] of client) if (passes(name)) headers.set(name, value);
  // What is asked for is what can be metered and passed on as it came.
  headers.set('accept-encoding', 'identity');
  return headers;
}

/** A list header's items, without blanks. */
export function listOf(value: string | null): readonly string[] {
  return (value ?? '').split(',').flatMap((item) => item.trim() || []);
}

/** Of a cloud's answer, what may go on; an id of the call under Anthropic's name. */
export function answeredHeaders(upstream: Headers): Headers {
  const headers = new Headers();
  for (const [name, value] of upstream) {
    if (ANSWERED.has(name) || name.startsWith('anthropic-')) headers.set(name, value);
  }
  const id = REQUEST_IDS.map((name) => upstream.get(name)).find((value) => value !== null);
  if (id !== undefined && id !== null) headers.set('request-id', id);
  return headers;
}
