// Reads a conversation: blocks, texts, the last turn. Knows nothing of answers.

/**
 * @typedef {import('./server.mjs').Fields} Fields
 * @typedef {{ role: string, blocks: Fields[] }} Turn
 */

/** @param {unknown} value @returns {value is Fields} */
export function isFields(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Content, a string or a list of blocks, as blocks.
 * @param {unknown} content
 * @returns {Fields[]}
 */
export function blocksOf(content) {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return Array.isArray(content) ? content.filter(isFields) : [];
}

/** @param {Fields} body @returns {Turn[]} */
export function turnsOf(body) {
  const messages = Array.isArray(body['messages']) ? body['messages'].filter(isFields) : [];
  return messages.map(({ role, content }) => ({ role: String(role), blocks: blocksOf(content) }));
}

/** The blocks of the last user turn; system turns may follow it. @param {Fields} body */
export function lastUserBlocks(body) {
  return turnsOf(body).findLast(({ role }) => role === 'user')?.blocks ?? [];
}

/**
 * What the user wrote last, without the reminders that clients put beside it.
 * @param {Fields} body
 */
export function lastUserText(body) {
  return lastUserBlocks(body)
    .map(({ type, text }) => (type === 'text' ? String(text) : ''))
    .join('\n')
    .replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, '')
    .trim();
}

/** The text of a tool's result. @param {Fields} block */
export function resultText({ content }) {
  return blocksOf(content)
    .map(({ text }) => (typeof text === 'string' ? text : '(not text)'))
    .join('\n');
}
