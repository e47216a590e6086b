// A fake upstream that is fast enough not to be what is measured: raw sockets, prepared bytes, no
// HTTP library. It speaks as much of the Messages API as a meter needs and stamps every event with
// the moment it was sent. What it answers is named by the request's `anthropic-beta` header:
// bench-json | bench-burst-<events> | bench-paced-<ms>-<events> | bench-flood-<events>.
// It checks nothing and is no example of a server: trust no network with it.
//
// `node bench/upstream.mjs` prints {"port":…} and serves until its parent goes; a GET /counts
// answers how many requests it saw, how many were left by the relay, and the bytes it sent.

import { createServer } from 'node:net';

const MODEL = 'claude-haiku-5-5';
const HEAD = Buffer.from('\r\n\r\n');
const WORD = 'x'.repeat(64);
const FLOOD_WORD = 'x'.repeat(8_000);
const counts = { requests: 0, finished: 0, left: 0, open: 0, bytes: 0, lastLeftAt: 0 };

const usage =
  '{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,' +
  '"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},' +
  '"output_tokens":1,"service_tier":"standard"}';
const message = (content, stop) =>
  `{"id":"msg_bench","type":"message","role":"assistant","model":"${MODEL}","content":${content},` +
  `"stop_reason":${stop},"stop_sequence":null,"usage":${usage}}`;

const jsonBody = message(`[{"type":"text","text":"${WORD.repeat(6)}"}]`, '"end_turn"');
const jsonAnswer = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\n' +
    `content-length: ${jsonBody.length}\r\n\r\n${jsonBody}`,
);
const streamHead = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n' +
    'cache-control: no-cache\r\nrequest-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n',
);
const startEvent = chunk(
  event('message_start', `"message":${message('[]', 'null')}`) +
    event('content_block_start', '"index":0,"content_block":{"type":"text","text":""}'),
);
const endEvents = chunk(
  event('content_block_stop', '"index":0') +
    event(
      'message_delta',
      `"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}`,
    ) +
    event('message_stop', ''),
);
const lastChunk = Buffer.from('0\r\n\r\n');

function event(name, fields) {
  return `event: ${name}\ndata: {"type":"${name}"${fields === '' ? '' : ','}${fields}}\n\n`;
}

function chunk(text) {
  return Buffer.from(`${text.length.toString(16)}\r\n${text}\r\n`);
}

/** One delta, its text beginning with the send time: monotonic ns, the same clock for all here. */
function delta(word) {
  const stamp = `@t=${String(process.hrtime.bigint()).padStart(18, '0')};`;
  const fields = `"index":0,"delta":{"type":"text_delta","text":"${stamp}${word}"}`;
  return chunk(event('content_block_delta', fields));
}

createServer({ noDelay: true }, serve).listen(0, '127.0.0.1', function listening() {
  process.stdout.write(`${JSON.stringify({ port: this.address().port })}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();

function serve(socket) {
  let pending = Buffer.alloc(0);
  let skip = 0;
  let head = null;
  const state = { stop: null };
  socket.on('error', () => socket.destroy());
  socket.on('close', () => state.stop?.());
  socket.on('data', (data) => {
    pending = pending.length === 0 ? data : Buffer.concat([pending, data]);
    for (;;) {
      if (head === null) {
        const end = pending.indexOf(HEAD);
        if (end === -1) return;
        head = pending.toString('latin1', 0, end + 2).toLowerCase();
        pending = pending.subarray(end + 4);
        skip = bodyLength(head);
      }
      if (skip === CHUNKED) {
        // Nothing in the bodies of this bench looks like the end mark of a chunked body.
        const end = pending.indexOf('\r\n0\r\n\r\n');
        if (end === -1) {
          pending = pending.subarray(Math.max(0, pending.length - 6));
          return;
        }
        skip = end + 7;
      }
      const taken = Math.min(skip, pending.length);
      pending = pending.subarray(taken);
      skip -= taken;
      if (skip > 0) return;
      answer(socket, head, state);
      head = null;
    }
  });
}

const CHUNKED = Number.POSITIVE_INFINITY;

function bodyLength(head) {
  const found = /\r\ncontent-length: (\d+)/.exec(head);
  if (found !== null) return Number(found[1]);
  return head.includes('\r\ntransfer-encoding: chunked') ? CHUNKED : 0;
}

function answer(socket, head, state) {
  if (head.startsWith('get /counts')) {
    const body = JSON.stringify({ ...counts, now: Number(process.hrtime.bigint()) });
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    return;
  }
  counts.requests += 1;
  const [, kind, first, second] = /bench-([a-z]+)(?:-(\d+))?(?:-(\d+))?/.exec(head) ?? [];
  if (kind === 'burst') burst(socket, Number(first));
  else if (kind === 'paced') paced(socket, state, { everyMs: Number(first), left: Number(second) });
  else if (kind === 'flood') flood(socket, state, Number(first));
  else socket.write(jsonAnswer);
  if (kind === 'burst' || kind === 'json' || kind === undefined) counts.finished += 1;
}

function burst(socket, events) {
  socket.write(streamHead);
  socket.write(startEvent);
  for (let n = 0; n < events; n += 1) socket.write(delta(WORD));
  socket.write(endEvents);
  socket.write(lastChunk);
}

/** One event every `everyMs`; begun at spread moments, so that streams do not tick together. */
function paced(socket, state, plan) {
  counts.open += 1;
  const begin = setTimeout(() => pace(socket, state, plan), (counts.requests * 7) % plan.everyMs);
  state.stop = () => {
    clearTimeout(begin);
    state.stop = null;
    counts.open -= 1;
    counts.left += 1;
  };
}

function pace(socket, state, plan) {
  socket.write(streamHead);
  socket.write(startEvent);
  let left = plan.left;
  const timer = setInterval(() => {
    if (left > 0) {
      left -= 1;
      const bytes = delta(WORD);
      counts.bytes += bytes.length;
      socket.write(bytes);
      return;
    }
    close('finished');
    socket.write(endEvents);
    socket.write(lastChunk);
  }, plan.everyMs);
  const close = (how) => {
    clearInterval(timer);
    state.stop = null;
    counts.open -= 1;
    counts[how] += 1;
  };
  state.stop = () => {
    counts.lastLeftAt = Number(process.hrtime.bigint());
    close('left');
  };
}

/** As fast as the reader takes it, 8 kB an event: shows whether back-pressure reaches here. */
function flood(socket, state, events) {
  counts.open += 1;
  socket.write(streamHead);
  socket.write(startEvent);
  let left = events;
  const fill = () => {
    while (left > 0) {
      left -= 1;
      const bytes = delta(FLOOD_WORD);
      counts.bytes += bytes.length;
      if (!socket.write(bytes)) return;
    }
    close('finished');
    socket.write(endEvents);
    socket.write(lastChunk);
  };
  const close = (how) => {
    socket.off('drain', fill);
    state.stop = null;
    counts.open -= 1;
    counts[how] += 1;
  };
  state.stop = () => close('left');
  socket.on('drain', fill);
  fill();
}
