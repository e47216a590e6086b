// The load generator: one process, keep-alive raw sockets, bounded by a count and by time. It reads
// answers as a strict client would (length or chunks, stamps, the last event) and counts as an
// error whatever is not complete; it does not retry. Started by `fork`; takes jobs and answers
// figures.
//
// Job: {port, path, headers, body, connections, requests, durationMs, events, hold?}
// `events`: how many stamped events a complete answer has (0: a JSON answer).
// `hold`: open the streams, say `open` once each has shown an event, keep them until `release`.

import { connect } from 'node:net';
import { readFileSync } from 'node:fs';

const STAMP_BYTES = 22; // "@t=" + 18 digits + ";"
const nowNs = () => Number(process.hrtime.bigint());

process.on('message', (job) => {
  if (job.release === true) {
    held.forEach((socket) => socket.destroy());
    held = [];
    process.send({ released: true });
    return;
  }
  run(job).then(
    (figures) => process.send(figures),
    (error) => process.send({ failed: String(error) }),
  );
});

let held = [];

async function run(job) {
  const request = requestBytes(job);
  const tally = {
    started: 0,
    done: 0,
    errors: 0,
    events: 0,
    bytes: 0,
    firstError: null,
    latencies: [],
    firstBytes: [],
    delays: [],
  };
  const endAt = nowNs() + job.durationMs * 1e6;
  const more = () => tally.started < job.requests && nowNs() < endAt;
  const sockets = await Promise.all(Array.from({ length: job.connections }, () => open(job.port)));
  const cpuFrom = process.cpuUsage();
  const from = nowNs();
  if (job.hold === true) {
    held = sockets;
    await Promise.all(sockets.map((socket) => firstEvent(socket, request)));
    return { open: sockets.length };
  }
  await Promise.all(
    sockets.map(async (socket) => {
      let usable = socket;
      while (more()) {
        tally.started += 1;
        const fine = await once(usable, { request, job, tally });
        if (!fine && more()) usable = await open(job.port);
      }
      usable.destroy();
    }),
  );
  const seconds = (nowNs() - from) / 1e9;
  const cpu = process.cpuUsage(cpuFrom);
  return {
    requests: tally.done,
    errors: tally.errors,
    firstError: tally.firstError,
    seconds,
    events: tally.events,
    bytes: tally.bytes,
    latencyMs: percentiles(tally.latencies),
    firstByteMs: percentiles(tally.firstBytes),
    delayMs: percentiles(tally.delays),
    clientCpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}

function requestBytes(job) {
  const body = job.bodyFile === undefined ? Buffer.from(job.body) : readFileSync(job.bodyFile);
  const lines = Object.entries(job.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head =
    `POST ${job.path} HTTP/1.1\r\nhost: 127.0.0.1:${job.port}\r\ncontent-type: application/json\r\n` +
    `content-length: ${body.length}\r\n${lines.join('')}\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

function open(port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

function firstEvent(socket, request) {
  return new Promise((resolve, reject) => {
    let seen = false;
    socket.on('data', (data) => {
      if (!seen && data.includes('@t=')) {
        seen = true;
        resolve();
      }
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('a held stream closed')));
    socket.write(request);
  });
}

/** One request; true when the answer was complete and the socket can serve the next. */
function once(socket, { request, job, tally }) {
  return new Promise((resolve) => {
    const answer = newAnswer();
    const from = nowNs();
    const finish = (problem) => {
      socket.off('data', onData).off('close', onClose).off('error', onClose);
      if (problem === null) {
        tally.done += 1;
        tally.latencies.push(nowNs() - from);
        tally.firstBytes.push(answer.firstBodyAt - from);
      } else {
        tally.errors += 1;
        tally.firstError ??= `${problem}: ${answer.head.slice(0, 300)}`;
        socket.destroy();
      }
      resolve(problem === null);
    };
    const onData = (data) => {
      tally.bytes += data.length;
      const eventsBefore = answer.events;
      feed(answer, data, tally.delays);
      tally.events += answer.events - eventsBefore;
      if (answer.done) finish(problemOf(answer, job));
    };
    const onClose = () => finish('closed early');
    socket.on('data', onData).on('close', onClose).on('error', onClose);
    socket.write(request);
  });
}

function problemOf(answer, job) {
  if (answer.status !== 200) return `status ${answer.status}`;
  if (answer.events !== job.events) return `${answer.events} events of ${job.events}`;
  if (job.events > 0 && !answer.tail.includes('message_stop')) return 'no message_stop';
  return null;
}

function newAnswer() {
  return {
    head: '',
    status: 0,
    chunked: false,
    left: 0,
    frame: '',
    inBody: false,
    done: false,
    firstBodyAt: 0,
    events: 0,
    tail: '',
  };
}

/** Feeds received bytes to the answer's state: head, then counted or chunked body. */
function feed(answer, data, delays) {
  const at = nowNs();
  let rest = data;
  if (!answer.inBody) {
    const text = answer.head + rest.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) {
      answer.head = text;
      return;
    }
    rest = rest.subarray(end + 4 - answer.head.length);
    answer.head = text.slice(0, end);
    beginBody(answer);
  }
  while (rest.length > 0 && !answer.done) {
    if (answer.left > 0) {
      const part = rest.subarray(0, answer.left);
      if (answer.firstBodyAt === 0) answer.firstBodyAt = at;
      readStamps(answer, part, { at, delays });
      answer.left -= part.length;
      rest = rest.subarray(part.length);
      if (answer.left === 0 && !answer.chunked) answer.done = true;
    } else {
      rest = readFrame(answer, rest);
    }
  }
}

function beginBody(answer) {
  answer.inBody = true;
  answer.status = Number(answer.head.slice(9, 12));
  const head = answer.head.toLowerCase();
  answer.chunked = head.includes('\r\ntransfer-encoding: chunked');
  answer.left = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0);
  if (!answer.chunked && answer.left === 0) answer.done = true;
}

/**
 * A chunk's frame: the CRLF of the one before, its size in hex, CRLF; the last has another CRLF.
 */
function readFrame(answer, bytes) {
  const text = answer.frame + bytes.toString('latin1', 0, 24);
  const found = /^(?:\r\n)?(?:0+\r\n\r\n|([1-9a-fA-F][0-9a-fA-F]*)\r\n)/.exec(text);
  if (found === null) {
    answer.frame = text;
    return bytes.subarray(Math.min(24, bytes.length));
  }
  const used = found[0].length - answer.frame.length;
  answer.frame = '';
  answer.left = found[1] === undefined ? 0 : Number.parseInt(found[1], 16);
  answer.done = found[1] === undefined;
  return bytes.subarray(used);
}

function readStamps(answer, part, { at, delays }) {
  const text = answer.tail + part.toString('latin1');
  let from = 0;
  for (;;) {
    const found = text.indexOf('@t=', from);
    if (found === -1 || found + STAMP_BYTES > text.length) break;
    answer.events += 1;
    delays.push(at - Number(text.slice(found + 3, found + 21)));
    from = found + STAMP_BYTES;
  }
  // The tail may hold a stamp's beginning and is where the last event is looked for.
  answer.tail = text.slice(Math.max(from, text.length - 100));
}

function percentiles(ns) {
  if (ns.length === 0) return null;
  const sorted = Float64Array.from(ns).sort();
  const at = (share) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] / 1e6;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
