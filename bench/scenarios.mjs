// What is asked of each server, and the targets that the answers are held against. Counts are
// bounded so that a whole run ends in its time also where the relay is slow.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MODEL = 'claude-haiku-5-5'; // The cheapest: the key's credit outlasts millions of requests.
const PROMPT_BYTES = 5_000_000;
const LINE = 'A line of a long prompt with \\"quoted\\" words, as source code has them.\\n';

const body = (stream, content) =>
  `{"model":"${MODEL}","max_tokens":64,"stream":${stream},` +
  `"system":"You are measured.","messages":[{"role":"user","content":"${content}"}]}`;

/** The scenarios of a run; large bodies are written into `dir`. */
export function scenariosOf({ quick, dir }) {
  const bodyFile = join(dir, 'prompt.json');
  writeFileSync(bodyFile, body(false, LINE.repeat(Math.ceil(PROMPT_BYTES / LINE.length))));
  const short = LINE.repeat(12);
  const pacedEvents = quick ? 75 : 250;
  return [
    {
      id: 'json',
      title: 'JSON, 64 connections',
      servers: ['direct', 'bare', 'floor', 'relay'],
      job: { ...plain(body(false, short)), connections: 64, requests: quick ? 600 : 8_000 },
    },
    {
      id: 'burst',
      title: 'SSE burst of 200 events, 64 connections',
      job: {
        ...events(short, 'bench-burst-200', 200),
        connections: 64,
        requests: quick ? 160 : 640,
      },
    },
    {
      id: 'paced',
      servers: quick ? ['bare', 'relay'] : ['direct', 'bare', 'relay'],
      title: `SSE paced, ${pacedEvents} events every 20 ms, 64 at once`,
      job: {
        ...events(short, `bench-paced-20-${pacedEvents}`, pacedEvents),
        connections: 64,
        requests: 64,
      },
    },
    {
      id: 'first-byte',
      title: 'SSE of 5 events, 1 connection',
      job: { ...events(short, 'bench-burst-5', 5), connections: 1, requests: quick ? 100 : 500 },
    },
    {
      id: 'prompt',
      title: '5 MB prompt, 4 connections',
      job: { ...plain(''), bodyFile, connections: 4, requests: quick ? 16 : 80 },
    },
  ].map((scenario) => ({
    servers: ['direct', 'bare', 'relay'],
    ...scenario,
    job: { durationMs: 20_000, ...scenario.job },
  }));
}

function plain(text) {
  return { path: '/v1/messages', beta: 'bench-json', body: text, events: 0 };
}

function events(content, beta, count) {
  return { path: '/v1/messages', beta, body: body(true, content), events: count };
}

/** Streams that are only held open, for memory: two events a second. */
export function heldStreams(streams) {
  const job = events(LINE, 'bench-paced-500-1200', 1_200);
  return { ...job, connections: streams, requests: streams, durationMs: 20_000, hold: true };
}

/** Streams of some kind for warming up and for counting operations. */
export function someStreams({ requests, connections, everyMs = null, count = 20 }) {
  const beta = everyMs === null ? `bench-burst-${count}` : `bench-paced-${everyMs}-${count}`;
  return { ...events(LINE, beta, count), requests, connections, durationMs: 40_000 };
}

export function someJson({ requests, connections }) {
  return { ...plain(body(false, LINE)), requests, connections, durationMs: 40_000 };
}

/** `value(bare, relay)` of the medians is held against `most`. */
export const TARGETS = [
  { id: 'json', what: 'CPU a JSON request', unit: '×', most: 3.5, value: ratio('cpuMs') },
  { id: 'burst', what: 'CPU of a burst of 200 events', unit: '×', most: 4, value: ratio('cpuMs') },
  {
    id: 'paced',
    what: 'CPU of a paced stream',
    unit: '×',
    most: 1.8,
    aim: 1.4,
    value: ratio('cpuMs'),
  },
  {
    id: 'paced',
    what: 'added delay of a chunk, p50',
    unit: ' ms',
    most: 1,
    value: added('delayP50'),
  },
  {
    id: 'paced',
    what: 'added delay of a chunk, p99',
    unit: ' ms',
    most: 10,
    value: added('delayP99'),
  },
  {
    id: 'first-byte',
    what: 'added time to first byte',
    unit: ' ms',
    most: 2,
    value: added('firstByteP50'),
  },
  { id: 'prompt', what: 'CPU of a 5 MB prompt', unit: '×', most: 1.5, value: ratio('cpuMs') },
  {
    id: 'memory',
    what: 'memory of an open stream',
    unit: '×',
    most: 2,
    value: ratio('kibPerStream'),
  },
];

function ratio(field) {
  return (bare, relay) => relay[field] / bare[field];
}

function added(field) {
  return (bare, relay) => relay[field] - bare[field];
}
