// The lines that a start prints when the relay answers: who may come in, and what to copy.

const MODEL = 'claude-haiku-5-5';

/**
 * @param {import('./first-start.mjs').Credentials} credentials
 * @param {{ isSandbox: boolean, file: string }} facts
 */
export function welcome({ relay, admin, user, key }, { isSandbox, file }) {
  return [
    '',
    `Cloud Relay answers on ${relay}  (stop it with Ctrl-C)`,
    isSandbox
      ? 'Upstream: the sandbox, which is not a model. Set ANTHROPIC_API_KEY for real answers.'
      : 'Upstream: the accounts of ANTHROPIC_API_KEY.',
    '',
    `  admin  ${admin.email}  ${admin.password}`,
    `  user   ${user.email}  ${user.password}`,
    `  key    ${key}`,
    `  (kept in ${file})`,
    '',
    'One answer:',
    `  ${curl(relay, key, false)}`,
    'Streamed:',
    `  ${curl(relay, key, true)}`,
    'Claude Code:',
    `  ANTHROPIC_BASE_URL=${relay}/api ANTHROPIC_AUTH_TOKEN=${key} claude`,
    '',
  ].join('\n');
}

/** @param {string} relay @param {string} key @param {boolean} stream */
function curl(relay, key, stream) {
  const body = {
    model: MODEL,
    max_tokens: 256,
    ...(stream ? { stream } : {}),
    messages: [{ role: 'user', content: 'Hello' }],
  };
  return [
    `curl ${stream ? '-N ' : ''}${relay}/api/v1/messages`,
    `-H 'x-api-key: ${key}'`,
    "-H 'anthropic-version: 2023-06-01'",
    "-H 'content-type: application/json'",
    `-d '${JSON.stringify(body)}'`,
  ].join(' ');
}
