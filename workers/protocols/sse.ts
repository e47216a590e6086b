// Splits a stream of server-sent events (WHATWG HTML §9.2.6) into events, whatever the chunks. It
// knows nothing of what the events say, keeps no ids and no retry times, and drops an unfinished
// event at the end of the stream, as the standard asks.

/** One complete event; `event` is null where the stream named none. */
export interface SseEvent {
  readonly event: string | null;
  readonly data: string;
}

interface SseSplitter {
  /** The events that these bytes complete, in order. */
  push(bytes: Uint8Array): readonly SseEvent[];
  /** How many events were over the bound and skipped whole. */
  readonly oversized: number;
}

interface SseSplitterOptions {
  /** Larger events are skipped whole; counted in decoded characters, which are never more. */
  readonly maxEventBytes: number;
}

/** A splitter for one stream. Memory: the bound, and what one push holds. */
export function createSseSplitter(options: SseSplitterOptions): SseSplitter {
  return new Splitter(options.maxEventBytes);
}

class Splitter implements SseSplitter {
  oversized = 0;
  private readonly decoder = new TextDecoder();
  /** The start of a line whose end has not come. */
  private rest = '';
  /** The last character was a CR: an LF that follows belongs to it. */
  private afterReturn = false;
  private name: string | null = null;
  private data: string | null = null;
  /** Characters of the current event's finished lines. */
  private size = 0;
  /** The current event is over the bound: nothing of it is kept. */
  private skipping = false;

  constructor(private readonly max: number) {}

  push(bytes: Uint8Array): readonly SseEvent[] {
    const events: SseEvent[] = [];
    const text = this.unifyLineEnds(this.decoder.decode(bytes, { stream: true }));
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      const piece = text.slice(from, end);
      const line = this.rest === '' ? piece : this.rest + piece;
      this.rest = '';
      this.takeLine(line, events);
      from = end + 1;
    }
    this.keepRest(text, from);
    return events;
  }

  /** CRLF, LF and CR alone all end a line; all become LF. */
  private unifyLineEnds(decoded: string): string {
    if (decoded === '') return decoded;
    const text = this.afterReturn && decoded.startsWith('\n') ? decoded.slice(1) : decoded;
    this.afterReturn = decoded.endsWith('\r');
    return text.includes('\r') ? text.replaceAll(/\r\n?/g, '\n') : text;
  }

  private takeLine(line: string, events: SseEvent[]): void {
    if (line === '') return this.endEvent(events);
    if (this.skipping) return;
    this.size += line.length;
    if (this.size > this.max) return this.skipEvent();
    if (line.startsWith('data:')) this.addData(valueAfter(line, 5));
    else if (line.startsWith('event:')) this.name = valueAfter(line, 6);
    else if (line === 'data') this.addData('');
    else if (line === 'event') this.name = '';
    // Comments, ids, retry times and unknown fields say nothing here.
  }

  private addData(value: string): void {
    this.data = this.data === null ? value : `${this.data}\n${value}`;
  }

  private endEvent(events: SseEvent[]): void {
    if (this.skipping) this.oversized += 1;
    else if (this.data !== null) events.push({ event: this.name || null, data: this.data });
    this.name = null;
    this.data = null;
    this.size = 0;
    this.skipping = false;
  }

  private keepRest(text: string, from: number): void {
    if (from >= text.length) return;
    if (this.skipping) {
      // Only whether the line is empty still matters.
      this.rest = 'x';
      return;
    }
    this.rest += text.slice(from);
    if (this.size + this.rest.length > this.max) this.skipEvent();
  }

  private skipEvent(): void {
    this.skipping = true;
    this.name = null;
    this.data = null;
    if (this.rest !== '') this.rest = 'x';
  }
}

/** What stands after the colon, without one leading space. */
function valueAfter(line: string, start: number): string {
  return line.slice(line.charCodeAt(start) === 0x20 ? start + 1 : start);
}
