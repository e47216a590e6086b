// Sends an answer: whole, or event by event in the order and the pace of the Messages API, broken
// on the way if that was asked for.

import { setTimeout as sleep } from 'node:timers/promises';
import { errorBody } from './trouble.mjs';

const DELTA_CHARACTERS = 24;
const FLUSH_MS = 50;

/**
 * @typedef {import('./server.mjs').Exchange} Exchange
 * @typedef {import('./server.mjs').Fields} Fields
 * @typedef {import('./answer.mjs').Answer} Answer
 */

/** @param {Pick<Exchange, 'response'>} exchange @param {unknown} value */
export function sendJson({ response }, value) {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

/**
 * @param {Exchange} exchange
 * @param {Answer} answer
 * @param {import('./trouble.mjs').Asked} asked
 */
export async function sendStream({ response, requestId }, answer, { wish, paceMs }) {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  const left = new AbortController();
  response.on('close', () => left.abort());
  const failure = errorBody(529, 'Overloaded', requestId);
  const events = wish === 'start' ? [failure] : eventsOf(answer);
  const breakAt = wish === null || wish === 'start' ? Infinity : Math.ceil(events.length / 2);
  for (const [index, event] of events.entries()) {
    if (left.signal.aborted) return;
    if (index === breakAt && wish === 'cut') {
      // What was written leaves first: a reset would take it along.
      await sleep(FLUSH_MS);
      return void response.destroy();
    }
    if (index === breakAt && wish === 'stall') return;
    if (index === breakAt) return void response.end(textOf(failure));
    if (!response.write(textOf(event))) await drained(response);
    if (paceMs > 0) await sleep(paceMs, undefined, { signal: left.signal }).catch(() => {});
  }
  response.end();
}

/** @param {import('node:http').ServerResponse} response */
function drained(response) {
  return new Promise((resolve) => {
    response.once('drain', resolve);
    response.once('close', resolve);
  });
}

/** @param {Fields} event */
function textOf(event) {
  return `event: ${event['type']}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** @param {Answer} answer @returns {Fields[]} */
function eventsOf({ message, startUsage }) {
  const { content, stop_reason, stop_sequence, stop_details, usage, ...rest } = message;
  const empty = { content: [], stop_reason: null, stop_sequence: null, stop_details: null };
  const {
    cache_creation: _split,
    service_tier: _tier,
    speed: _speed,
    inference_geo: _geo,
    ...deltaUsage
  } = usage;
  const blocks = content.flatMap(blockEvents);
  return [
    { type: 'message_start', message: { ...rest, ...empty, usage: startUsage } },
    ...blocks.slice(0, 1),
    { type: 'ping' },
    ...blocks.slice(1),
    {
      type: 'message_delta',
      delta: { stop_reason, stop_sequence, stop_details },
      usage: deltaUsage,
    },
    { type: 'message_stop' },
  ];
}

/** @param {Fields} block @param {number} index @returns {Fields[]} */
function blockEvents(block, index) {
  const { empty, deltas } = inDeltas(block);
  return [
    { type: 'content_block_start', index, content_block: empty },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ];
}

/** A block as it starts and the deltas that fill it. @param {Fields} block */
function inDeltas(block) {
  if (block['type'] === 'tool_use') {
    const pieces = ['', ...inPieces(JSON.stringify(block['input']))];
    const deltas = pieces.map((piece) => ({ type: 'input_json_delta', partial_json: piece }));
    return { empty: { ...block, input: {} }, deltas };
  }
  if (block['type'] === 'thinking') {
    const pieces = inPieces(String(block['thinking']));
    const deltas = [
      ...pieces.map((piece) => ({ type: 'thinking_delta', thinking: piece })),
      { type: 'signature_delta', signature: block['signature'] },
    ];
    return { empty: { ...block, thinking: '', signature: '' }, deltas };
  }
  const deltas = inPieces(String(block['text'])).map((text) => ({ type: 'text_delta', text }));
  return { empty: { ...block, text: '' }, deltas };
}

/** Cuts between code points, as a provider does. @param {string} text */
function inPieces(text) {
  const points = [...text];
  const count = Math.ceil(points.length / DELTA_CHARACTERS);
  return Array.from({ length: count }, (_, index) => {
    return points.slice(index * DELTA_CHARACTERS, (index + 1) * DELTA_CHARACTERS).join('');
  });
}
