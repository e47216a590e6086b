// The meter of one answer: the protocol's own reader for events, the whole document for JSON, and
// for anything else only the knowledge that nothing could be read.

import { concatBytes } from '../platform/bytes';
import { anthropic } from '../protocols/anthropic';
import type { MeterOptions, MeterReading } from '../protocols/protocol';
import type { Sink } from './stream';

export type AnswerType = 'json' | 'events' | 'other';

export interface Meter extends Sink {
  reading(): MeterReading;
  /** How long the model has been thinking unseen since the last cumulative output count. */
  hiddenThinkingMs(): number;
  /** Whether the bytes so far end inside an event: an empty line must close it first. */
  midEvent(): boolean;
}

/** A JSON answer larger than this is passed on unread, and its cost estimated. */
const JSON_BYTES_MAX = 16 * 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** A meter for an answer of `type`. */
export function meterOf(type: AnswerType, options: MeterOptions): Meter {
  if (type === 'events') return eventMeter(options);
  return type === 'json' ? documentMeter(type, options) : unnamedMeter(options);
}

/** An answer whose type nobody named, or wrongly: what it begins with tells what can be read. */
function unnamedMeter(options: MeterOptions): Meter {
  let found: Meter = documentMeter('other', options);
  let isKnown = false;
  return {
    push: (bytes) => {
      if (!isKnown) found = meterByBeginning(bytes, options);
      isKnown = true;
      found.push(bytes);
    },
    reading: () => found.reading(),
    // How it should have ended is not known well enough to break it off.
    complete: () => true,
    hiddenThinkingMs: () => found.hiddenThinkingMs(),
    midEvent: () => false,
  };
}

function meterByBeginning(bytes: Uint8Array, options: MeterOptions): Meter {
  const beginning = String.fromCharCode(...bytes.subarray(0, 16)).trimStart();
  if (beginning.startsWith('{')) return documentMeter('json', options);
  return /^(?:event|data|id|:)/.test(beginning)
    ? eventMeter(options)
    : documentMeter('other', options);
}

function eventMeter(options: MeterOptions): Meter {
  const meter = anthropic.createStreamMeter(options);
  let tail = '';
  const hidden = hiddenTime();
  return {
    push: (bytes) => {
      meter.push(bytes);
      hidden.look(meter.reading());
      const last = String.fromCharCode(...bytes.subarray(-4));
      tail = (tail + last).slice(-4);
    },
    reading: () => meter.reading(),
    complete: () => {
      const { finished, error } = meter.reading();
      return finished || error !== null;
    },
    hiddenThinkingMs: () => hidden.totalMs(),
    midEvent: () => tail !== '' && !/(?:\n\n|\r\r|\r\n\r\n)$/.test(tail),
  };
}

/** Adds up the time of unseen blocks, open and closed; a block that was seen after all is none. */
function hiddenTime() {
  let openSince: number | null = null;
  let closedMs = 0;
  let closedBlocks = 0;
  const openMs = (): number => (openSince === null ? 0 : Date.now() - openSince);
  return {
    look: ({ hiddenThinkingOpen, hiddenThinkingClosed }: MeterReading): void => {
      if (hiddenThinkingClosed > closedBlocks) {
        closedMs += openMs();
        openSince = null;
      }
      // All that closed is in what has been reported since.
      if (hiddenThinkingClosed === 0) closedMs = 0;
      closedBlocks = hiddenThinkingClosed;
      openSince = hiddenThinkingOpen ? (openSince ?? Date.now()) : null;
    },
    totalMs: (): number => closedMs + openMs(),
  };
}

function documentMeter(type: 'json' | 'other', options: MeterOptions): Meter {
  let pieces: Uint8Array[] = [];
  let length = 0;
  let reading: MeterReading | null = null;
  const read = (): MeterReading => {
    const known = type === 'json' && length <= JSON_BYTES_MAX ? concatBytes(pieces) : NOTHING;
    const whole = anthropic.readJsonAnswer(known, options);
    // Of a document that breaks off, or that nobody can read, what counts is what was delivered.
    const isRead = whole.usage !== null || whole.deliveredBytes > 0;
    return isRead ? whole : { ...whole, deliveredBytes: length };
  };
  return {
    push: (bytes) => {
      length += bytes.byteLength;
      reading = null;
      // A copy: the reader uses its buffer again.
      if (length <= JSON_BYTES_MAX) pieces.push(bytes.slice());
      else pieces = [];
    },
    reading: () => (reading ??= read()),
    complete: () => type === 'other' || length > JSON_BYTES_MAX || read().finished,
    hiddenThinkingMs: () => 0,
    midEvent: () => false,
  };
}
