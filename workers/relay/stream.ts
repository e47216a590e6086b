// Step 5, stream: the upstream's bytes to the client, natively and untouched; a copy to the meter,
// read lazily, because waking JavaScript for every chunk costs more than all else. What that was
// weighed against: docs/decisions/2026-11-23-metering-beside-the-stream.md.

import { withinMs } from '../platform/clock';
import type { Client } from './client';
import { onAbort } from './client';
import type { How, StopWord } from './ending';

/** Where the copy goes. */
export interface Sink {
  push(bytes: Uint8Array): void;
  /** Whether the answer was complete, as far as was pushed. */
  complete(): boolean;
}

export interface Flow {
  /** What was read of the answer before it was known to be one: leaves first. */
  readonly beginning: Uint8Array<ArrayBuffer>;
  readonly body: ReadableStream<Uint8Array>;
  readonly sink: Sink;
  /** Whether the answer has come to its own end, as far as was pushed. */
  readonly isFinished: () => boolean;
  readonly client: Client;
  /** Ends the upstream call. */
  readonly cancelUpstream: () => void;
  /** The last words to a client whose answer broke off; null where the format has none. */
  readonly lastWords: ((how: How) => Uint8Array) | null;
}

export interface Flowing {
  readonly readable: ReadableStream<Uint8Array>;
  /** Resolves, never rejects, when nothing more will be read or written. */
  readonly ended: Promise<How>;
  /** Ends the answer from this side; one whose client has left is no longer read on. */
  readonly stop: (how: 'cut' | StopWord) => void;
}

/** Starts the flow; `readable` is the client's body. */
export function flow(given: Flow): Flowing {
  const [toClient, toMeter] = given.body.tee();
  const identity = new IdentityTransformStream();
  const pace = new Pace();
  const stopping = new AbortController();
  const letGo = Promise.withResolvers<void>();
  const { beginning, sink } = given;
  // Behind what starts the flow, which the sink may want to end.
  const metered = Promise.resolve().then(() => {
    if (beginning.byteLength > 0) sink.push(beginning);
    return readLazily(toMeter, sink, pace);
  });
  // JavaScript owns the writable side: that is how a leaving client is noticed.
  const options = { preventClose: true, preventAbort: true, signal: stopping.signal };
  const piped = begin(identity.writable, beginning, stopping.signal)
    .then(() => toClient.pipeTo(identity.writable, options))
    .then(
      () => true,
      () => false,
    );
  const running = { ...given, writable: identity.writable, piped, metered, pace, stopping };
  const wasThere = !given.client.left.aborted;
  const ended = end({ ...running, letGo: letGo.promise, wasThere });
  // A pipe that waits for its upstream does not notice that nobody reads any more.
  onAbort(given.client.left, () => stopping.abort());
  onAbort(given.client.letGo, letGo.resolve);
  const stop: Flowing['stop'] = (how) => {
    stopping.abort(how);
    letGo.resolve();
  };
  return { readable: identity.readable, ended, stop };
}

/** Writes what was held back; the pipe that follows takes the writable over. */
async function begin(
  writable: WritableStream<Uint8Array>,
  beginning: Uint8Array<ArrayBuffer>,
  stopping: AbortSignal,
): Promise<void> {
  if (beginning.byteLength === 0) return;
  const writer = writable.getWriter();
  // A client that reads nothing must not keep the end from coming.
  const stopped = Promise.withResolvers<void>();
  const forget = onAbort(stopping, stopped.resolve);
  try {
    await Promise.race([writer.write(beginning), stopped.promise]);
  } finally {
    forget();
    writer.releaseLock();
  }
}

interface Running extends Flow {
  readonly writable: WritableStream<Uint8Array>;
  readonly piped: Promise<boolean>;
  readonly metered: Promise<void>;
  readonly pace: Pace;
  readonly stopping: AbortController;
  /** The upstream is no longer wanted by a client that has left. */
  readonly letGo: Promise<void>;
  /** When the answer began. */
  readonly wasThere: boolean;
}

async function end(running: Running): Promise<How> {
  const { piped, metered, pace, sink, client, cancelUpstream, stopping, lastWords } = running;
  const whole = await piped;
  pace.hurry();
  if (whole) {
    await metered;
    if (sink.complete()) {
      await close(running.writable);
      return 'whole';
    }
    return (await say(running, 'cut')) ? 'cut' : 'left';
  }
  if (!stopping.signal.aborted && client.drains) await noticeLeaving(running);
  if (client.left.aborted) return letGo(running);
  const how: How = stopping.signal.aborted ? (stopping.signal.reason as How) : 'cut';
  cancelUpstream();
  await withinMs(metered, READ_OUT_MS);
  if (how === 'cut' && lastWords !== null && sink.complete()) {
    // All was said before the connection broke. An error now would make the client ask, and pay,
    // a second time.
    await close(running.writable);
    return 'whole';
  }
  return (await say(running, how)) ? how : 'left';
}

/** A pipe that failed while its upstream lives on has lost its client, whatever else is known. */
async function noticeLeaving({ metered, client }: Running): Promise<void> {
  if ((await withinMs(metered, READ_OUT_MS)) === 'late') client.leave();
}

/** The client has left: the upstream goes too, or is read on as long as it may be. */
async function letGo(running: Running): Promise<How> {
  const { metered, isFinished, client, cancelUpstream, wasThere } = running;
  // What has arrived was delivered or nearly so: it is read before the upstream is let go.
  await withinMs(metered, READ_OUT_MS);
  const hasHadAll = wasThere && isFinished();
  const isDrained = client.drains && !hasHadAll;
  if (isDrained) await Promise.race([metered, running.letGo]);
  cancelUpstream();
  await withinMs(metered, READ_OUT_MS);
  return isDrained ? 'drained' : 'left';
}

/** How long a client's leaving may be used to read what has already come. */
const READ_OUT_MS = 100;
/** A client that does not even take the last words. */
const LAST_WORDS_MS_MAX = 5_000;

/** Ends the client's body with the truth; false when the client is no longer there. */
async function say(running: Running, how: How): Promise<boolean> {
  const { writable, lastWords, client } = running;
  const writer = writable.getWriter();
  if (lastWords === null) {
    await writer.abort(new Error('the upstream broke off')).catch(ignore);
    return !client.left.aborted;
  }
  const said = writer.write(lastWords(how)).then(
    () => true,
    () => false,
  );
  const heard = (await withinMs(said, LAST_WORDS_MS_MAX)) === true;
  if (heard) await writer.close().catch(ignore);
  else await writer.abort().catch(ignore);
  return heard;
}

async function close(writable: WritableStream<Uint8Array>): Promise<void> {
  await writable.close().catch(ignore);
}

function ignore(): void {
  // Who has left needs no farewell.
}

/** What gathers in a nap seldom fills it; larger ones only cost a stalled stream more. */
const BUFFER_BYTES = 16 * 1024;
/** After the first read, which follows the first bytes at once. Each wake costs about 40 µs. */
const FIRST_NAP_MS = 250;
/** The reading is never older than this; the end wakes the reader at once. */
const LONGEST_NAP_MS = 1_000;

/** Reads whatever has gathered, then naps, longer each time, until hurried. */
async function readLazily(
  branch: ReadableStream<Uint8Array>,
  sink: Sink,
  pace: Pace,
): Promise<void> {
  const reader = branch.getReader({ mode: 'byob' });
  let buffer = new Uint8Array(BUFFER_BYTES);
  try {
    for (;;) {
      const { value, done } = await reader.read(buffer);
      if (value !== undefined) sink.push(value);
      if (done || value === undefined) return;
      buffer = new Uint8Array(value.buffer);
      // A full buffer says that more is waiting: no nap, so that nothing piles up.
      if (value.byteLength < BUFFER_BYTES) await pace.nap();
    }
  } catch {
    // The other branch learns the same, and says so.
  }
}

/** When the meter reads next. */
class Pace {
  #napMs = FIRST_NAP_MS;
  #hurried = false;
  #wake: (() => void) | null = null;

  nap(): Promise<void> {
    if (this.#hurried) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#napMs);
      this.#napMs = Math.min(this.#napMs * 2, LONGEST_NAP_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** No more naps: what is left is read at once. */
  hurry(): void {
    this.#hurried = true;
    this.#wake?.();
  }
}
