// Decides what the sandbox answers: its blocks, why it stops, what it would cost. The same message
// is sent whole or as events.

import { randomBytes } from 'node:crypto';
import { blocksOf, isFields, lastUserBlocks, lastUserText, resultText } from './conversation.mjs';
import { sampleInput } from './sample-input.mjs';
import { TOKEN_CHARACTERS, tokensOf } from './usage.mjs';

const WORDS_MAX = 100_000;
const QUOTE_CHARACTERS_MAX = 400;
const WORDS = ['sand', 'box', 'grain', 'dune', 'shore', 'shell', 'tide', 'wave', 'pail', 'spade'];

/**
 * @typedef {import('./server.mjs').Fields} Fields
 * @typedef {object} Answer
 * @property {Fields & { content: Fields[], usage: Fields }} message the whole answer
 * @property {Fields} startUsage what `message_start` knows of the usage
 */

/**
 * @param {Fields} body
 * @param {Fields} inputUsage
 * @returns {Answer}
 */
export function answerTo(body, inputUsage) {
  const thinking = thinkingBlocks(body);
  const main = mainBlock(body);
  const limited = withinLimit(main, Number(body['max_tokens']));
  const thinkingTokens = thinking.length > 0 ? tokensOf(THOUGHT) : 0;
  const outputTokens = thinkingTokens + tokensOf(String(limited.text ?? JSON.stringify(limited)));
  const message = {
    id: `msg_${randomBytes(12).toString('hex')}`,
    type: 'message',
    role: 'assistant',
    model: body['model'],
    content: [...thinking, limited],
    ...stopOf(body, main, limited),
    usage: {
      ...inputUsage,
      output_tokens: outputTokens,
      output_tokens_details: { thinking_tokens: thinkingTokens },
      ...served(body),
    },
  };
  return { message, startUsage: { ...inputUsage, output_tokens: 1, ...served(body) } };
}

const THOUGHT = 'The sandbox does not think: it looks for a rule in its table and follows it.';

/** @param {Fields} body @returns {Fields[]} */
function thinkingBlocks({ thinking }) {
  if (!isFields(thinking) || thinking['type'] === 'disabled') return [];
  const text = thinking['display'] === 'omitted' ? '' : THOUGHT;
  return [{ type: 'thinking', thinking: text, signature: randomBytes(48).toString('base64') }];
}

/** @param {Fields} body @returns {Fields} */
function mainBlock(body) {
  const results = lastUserBlocks(body).filter(({ type }) => type === 'tool_result');
  if (results.length > 0) return { type: 'text', text: `${NAME} ${quoted(results)}` };
  const call = toolCall(body);
  if (call !== null) return call;
  return { type: 'text', text: textFor(body) };
}

const NAME = "I am the relay's sandbox, not a model.";

/** @param {Fields[]} results */
function quoted(results) {
  const text = results.map(resultText).join('\n').slice(0, QUOTE_CHARACTERS_MAX);
  return `The tool answered: ${text}`;
}

/** @param {Fields} body */
function textFor(body) {
  const asked = lastUserText(body);
  const words = Math.min(Number(/\[words:(\d+)\]/.exec(asked)?.[1] ?? 0), WORDS_MAX);
  if (asked.includes('[refuse]')) return `${NAME} I was asked to refuse.`;
  if (words > 0) {
    const filler = Array.from({ length: words }, (_, index) => WORDS[index % WORDS.length]);
    return `${NAME} ${filler.join(' ')}`;
  }
  const quote = asked.slice(0, QUOTE_CHARACTERS_MAX);
  return `${NAME} The way through works: you reached me and I received: "${quote}"`;
}

/** @param {Fields} body @returns {Fields | null} */
function toolCall(body) {
  const tools = blocksOf(body['tools']).filter(({ input_schema: schema }) => isFields(schema));
  const choice = isFields(body['tool_choice']) ? body['tool_choice'] : {};
  if (choice['type'] === 'none') return null;
  const asked = /\buse (?:the )?tool:? +["'`]?([\w.-]+)["'`]?([\s\S]*)/i.exec(lastUserText(body));
  const name = choice['type'] === 'tool' ? choice['name'] : asked?.[1];
  const tool = tools.find((one) => one['name'] === name) ?? (choice['type'] === 'any' && tools[0]);
  if (!tool) return null;
  const given = name === asked?.[1] ? jsonIn(asked?.[2] ?? '') : null;
  const input = given ?? sampleInput(tool['input_schema']);
  return {
    type: 'tool_use',
    id: `toolu_${randomBytes(12).toString('hex')}`,
    name: tool['name'],
    input,
  };
}

/** The JSON object that follows a tool's name. @param {string} text @returns {Fields | null} */
function jsonIn(text) {
  const from = text.indexOf('{');
  const to = text.lastIndexOf('}');
  if (from < 0 || to < from) return null;
  try {
    const value = JSON.parse(text.slice(from, to + 1));
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

/** @param {Fields} block @param {number} tokensMax @returns {Fields} */
function withinLimit(block, tokensMax) {
  if (block['type'] !== 'text' || !Number.isFinite(tokensMax)) return block;
  return { ...block, text: String(block['text']).slice(0, tokensMax * TOKEN_CHARACTERS) };
}

/** @param {Fields} body @param {Fields} main @param {Fields} limited */
function stopOf(body, main, limited) {
  const nothing = { stop_sequence: null, stop_details: null };
  if (lastUserText(body).includes('[refuse]')) {
    const explanation = 'The sandbox was asked to refuse.';
    const details = { type: 'refusal', category: null, explanation };
    return { stop_reason: 'refusal', stop_sequence: null, stop_details: details };
  }
  if (main['type'] === 'tool_use') return { stop_reason: 'tool_use', ...nothing };
  const isCut = limited['text'] !== main['text'];
  return { stop_reason: isCut ? 'max_tokens' : 'end_turn', ...nothing };
}

/** How a request says it was served. @param {Fields} body */
function served(body) {
  return {
    service_tier: 'standard',
    speed: body['speed'] ?? 'standard',
    inference_geo: body['inference_geo'] ?? 'global',
  };
}
