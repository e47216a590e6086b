// A pull scanner over the bytes of one JSON document: it walks where its caller asks and skips the
// rest without building anything, so a body of megabytes costs a pass over its bytes and no memory.
// It checks the structure (RFC 8259: brackets, commas, colons, numbers, literals, one value and
// nothing after it) and leaves the inside of skipped strings to whoever reads them: raw control
// characters, broken escapes and broken UTF-8 there are the upstream's to judge.

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const LOWER_E = 0x65;

/** Deeper nesting than this is refused. */
export const JSON_DEPTH_MAX = 1_000;

/** Skipped strings are looked through by words of four bytes. */
const WORD_BYTES = 4;
const FOUR_QUOTES = 0x22222222;
const FOUR_BACKSLASHES = 0x5c5c5c5c;
const FOUR_ONES = 0x01010101;
const FOUR_HIGH_BITS = 0x80808080;

/** An escaped key longer than this cannot be a known one (6 bytes a character). */
const ESCAPED_KEY_BYTES_MAX = 400;

const LITERALS = {
  true: [0x74, 0x72, 0x75, 0x65],
  false: [0x66, 0x61, 0x6c, 0x73, 0x65],
  null: [0x6e, 0x75, 0x6c, 0x6c],
} as const;

const decoder = new TextDecoder();

/** What stands at the cursor; `none` where no value can begin. */
type JsonKind = 'object' | 'array' | 'string' | 'number' | 'true' | 'false' | 'null' | 'none';

/** Why a document is not JSON, and the offset of the byte where that showed. */
interface JsonProblem {
  readonly message: string;
  readonly position: number;
}

/** Byte offsets [start, end) of a string's inside, without its quotes and as written. */
export type ByteRange = readonly [start: number, end: number];

/** Keys that the caller wants to hear by name, findable by the hash of their bytes. */
type KnownKeys = ReadonlyMap<number, readonly string[]>;

/** Prepares the ASCII `keys` for `nextKey`; make it once per list, not per document. */
export function knownKeys(keys: readonly string[]): KnownKeys {
  const table = new Map<number, readonly string[]>();
  for (const key of keys) {
    let hash = 0;
    for (let index = 0; index < key.length; index += 1) hash = mix(hash, key.charCodeAt(index));
    table.set(hash, [...(table.get(hash) ?? []), key]);
  }
  return table;
}

/**
 * The cursor. It begins at the document's value; the caller consumes each value it is given exactly
 * once (enter, read, skip) and ends with `finish`. The first problem stops it for good: from then
 * on every call answers null or false, so a caller's loops end and `problem` is asked at the end.
 */
export class JsonCursor {
  private at = 0;
  private depth = 0;
  /** True between an opening bracket and the first thing inside it. */
  private fresh = false;
  /** The closing bracket that each open container waits for. */
  private readonly closers = new Uint8Array(JSON_DEPTH_MAX);
  private failed: JsonProblem | null = null;

  /** The same bytes as words; empty where they do not begin on a word: then bytes must do. */
  private readonly words: Uint32Array;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly known: KnownKeys,
  ) {
    const { buffer, byteOffset, byteLength } = bytes;
    const isAligned = byteOffset % WORD_BYTES === 0;
    const count = isAligned ? Math.floor(byteLength / WORD_BYTES) : 0;
    this.words = new Uint32Array(buffer, isAligned ? byteOffset : 0, count);
    this.byteAfterSpace();
  }

  /** What went wrong, or null. */
  get problem(): JsonProblem | null {
    return this.failed;
  }

  /** Offset of what comes next: a value that is due, or the first byte after the last one. */
  get position(): number {
    return this.at;
  }

  /** What kind of value stands at the cursor. Consumes nothing. */
  kind(): JsonKind {
    const byte = this.bytes[this.at];
    switch (byte) {
      case QUOTE:
        return 'string';
      case OPEN_OBJECT:
        return 'object';
      case OPEN_ARRAY:
        return 'array';
      case 0x74:
        return 'true';
      case 0x66:
        return 'false';
      case 0x6e:
        return 'null';
      default:
        return byte === MINUS || isDigit(byte) ? 'number' : 'none';
    }
  }

  /** Steps into an object: then `nextKey` until null. False, nothing consumed, on other values. */
  enterObject(): boolean {
    return this.bytes[this.at] === OPEN_OBJECT && this.open(CLOSE_OBJECT);
  }

  /** Steps into an array: then `nextElement` until false. False, nothing consumed, on others. */
  enterArray(): boolean {
    return this.bytes[this.at] === OPEN_ARRAY && this.open(CLOSE_ARRAY);
  }

  /** The next key if it is a known one, '' for any other, null at the object's end. */
  nextKey(): string | null {
    let byte = this.byteAfterSpace();
    if (byte === CLOSE_OBJECT) return this.close();
    if (!this.fresh) {
      if (byte !== COMMA) return this.fail("expected ',' or '}'");
      this.at += 1;
      byte = this.byteAfterSpace();
    }
    this.fresh = false;
    if (byte !== QUOTE) return this.fail('expected a key in quotes');
    const key = this.readKey();
    if (this.byteAfterSpace() !== COLON) return this.fail("expected ':'");
    this.at += 1;
    this.byteAfterSpace();
    return key;
  }

  /** True when the array has another element, which is then at the cursor. */
  nextElement(): boolean {
    const byte = this.byteAfterSpace();
    if (byte === CLOSE_ARRAY) {
      this.close();
      return false;
    }
    if (!this.fresh) {
      if (byte !== COMMA) {
        this.fail("expected ',' or ']'");
        return false;
      }
      this.at += 1;
      this.byteAfterSpace();
    }
    this.fresh = false;
    return true;
  }

  /** Skips the value at the cursor whatever it is, checking its structure. */
  skip(): void {
    const floor = this.depth;
    do {
      if (!this.enterObject() && !this.enterArray()) this.skipScalar();
      let ended = true;
      while (ended && this.depth > floor) ended = !this.nextInside();
    } while (this.depth > floor);
  }

  /** Consumes a string and says where its inside lies; null, nothing consumed, on other values. */
  readRange(): ByteRange | null {
    if (this.bytes[this.at] !== QUOTE) return null;
    const start = this.at + 1;
    this.skipString();
    return this.failed === null ? [start, this.at - 1] : null;
  }

  /**
   * Consumes any value; answers its text when it is a string of at most `bytesMax` bytes as it is
   * written, else null. A string that is read and not valid is a problem of the document.
   */
  readString(bytesMax: number): string | null {
    const range = this.readRange();
    if (range === null) {
      this.skip();
      return null;
    }
    return range[1] - range[0] > bytesMax ? null : this.textOf(range);
  }

  /** Consumes any value; answers it when it is a number, else null. */
  readNumber(): number | null {
    if (this.kind() !== 'number') {
      this.skip();
      return null;
    }
    const start = this.at;
    this.skipNumber();
    if (this.failed !== null) return null;
    return Number(decoder.decode(this.bytes.subarray(start, this.at)));
  }

  /** The text of a range that `readRange` gave, its escapes resolved; null if it is not valid. */
  textOf(range: ByteRange): string | null {
    const quoted = this.bytes.subarray(range[0] - 1, range[1] + 1);
    try {
      return String(JSON.parse(decoder.decode(quoted)));
    } catch {
      return this.fail('string is not valid', range[0]);
    }
  }

  /** True when the document was one value, consumed, with nothing but white space after it. */
  finish(): boolean {
    if (this.failed === null && this.byteAfterSpace() !== undefined) {
      this.fail('unexpected data after the document');
    }
    return this.failed === null;
  }

  private open(closer: number): boolean {
    if (this.depth === JSON_DEPTH_MAX) {
      this.fail(`nesting is deeper than ${JSON_DEPTH_MAX} levels`);
      return false;
    }
    this.closers[this.depth] = closer;
    this.depth += 1;
    this.at += 1;
    this.fresh = true;
    return true;
  }

  private close(): null {
    this.depth -= 1;
    this.at += 1;
    this.fresh = false;
    return null;
  }

  /** Moves to the next value of the innermost container; false when that container ended. */
  private nextInside(): boolean {
    const isObject = this.closers[this.depth - 1] === CLOSE_OBJECT;
    return isObject ? this.nextKey() !== null : this.nextElement();
  }

  private skipScalar(): void {
    const kind = this.kind();
    if (kind === 'string') this.skipString();
    else if (kind === 'number') this.skipNumber();
    else if (kind === 'true' || kind === 'false' || kind === 'null') this.skipLiteral(kind);
    else this.fail('expected a value');
  }

  private skipString(): void {
    const end = this.closingQuote(this.at + 1);
    if (end < 0) this.fail('string does not end');
    else this.at = end + 1;
  }

  private skipLiteral(word: 'true' | 'false' | 'null'): void {
    for (const byte of LITERALS[word]) {
      if (this.bytes[this.at] === byte) this.at += 1;
      else this.fail('expected a value');
    }
  }

  /** RFC 8259 §6: no leading zero, no plus, digits on both sides of the point. */
  private skipNumber(): void {
    if (this.bytes[this.at] === MINUS) this.at += 1;
    if (this.bytes[this.at] === ZERO) this.at += 1;
    else this.skipDigits();
    if (this.bytes[this.at] === POINT) {
      this.at += 1;
      this.skipDigits();
    }
    if (((this.bytes[this.at] ?? 0) | 0x20) !== LOWER_E) return;
    this.at += 1;
    const sign = this.bytes[this.at];
    if (sign === PLUS || sign === MINUS) this.at += 1;
    this.skipDigits();
  }

  private skipDigits(): void {
    const { bytes, at } = this;
    let index = at;
    while (isDigit(bytes[index])) index += 1;
    this.at = index;
    if (index === at) this.fail('expected a digit');
  }

  /** Consumes a key; its name if known, else ''. */
  private readKey(): string {
    const { bytes } = this;
    const start = this.at + 1;
    let hash = 0;
    for (let index = start; index < bytes.length; index += 1) {
      const byte = bytes[index] ?? 0;
      if (byte === QUOTE) {
        this.at = index + 1;
        return this.knownKey(hash, start, index);
      }
      if (byte === BACKSLASH) return this.readEscapedKey();
      hash = mix(hash, byte);
    }
    this.fail('key does not end');
    return '';
  }

  /** A key may be written with escapes: "file\u005fid" is file_id to whoever parses it. */
  private readEscapedKey(): string {
    const range = this.readRange();
    if (range === null || range[1] - range[0] > ESCAPED_KEY_BYTES_MAX) return '';
    const text = this.textOf(range);
    if (text === null) return '';
    for (const keys of this.known.values()) if (keys.includes(text)) return text;
    return '';
  }

  private knownKey(hash: number, start: number, end: number): string {
    for (const key of this.known.get(hash) ?? []) {
      let index = 0;
      while (index < key.length && key.charCodeAt(index) === this.bytes[start + index]) index += 1;
      if (index === key.length && index === end - start) return key;
    }
    return '';
  }

  /** Offset of the quote that ends the string whose inside begins at `from`; -1: none. */
  private closingQuote(from: number): number {
    const { bytes } = this;
    let index = from;
    while (index < bytes.length) {
      if (index % WORD_BYTES === 0) index = this.wordWithMark(index);
      const byte = bytes[index];
      if (byte === QUOTE) return index;
      index += byte === BACKSLASH ? 2 : 1;
    }
    return -1;
  }

  /**
   * Offset of the first word, `index` or after it, that may hold a quote or a backslash. Four bytes
   * are looked at together: `(x - 1) & ~x & 0x80` is set in a byte of x that is 0, and x is the
   * word with the byte looked for taken out by exclusive or.
   */
  private wordWithMark(index: number): number {
    const { words } = this;
    let at = index / WORD_BYTES;
    while (at < words.length) {
      const word = words[at] ?? 0;
      const quotes = word ^ FOUR_QUOTES;
      const slashes = word ^ FOUR_BACKSLASHES;
      const zeroes = ((quotes - FOUR_ONES) & ~quotes) | ((slashes - FOUR_ONES) & ~slashes);
      if ((zeroes & FOUR_HIGH_BITS) !== 0) break;
      at += 1;
    }
    return at * WORD_BYTES;
  }

  private byteAfterSpace(): number | undefined {
    const { bytes } = this;
    let index = this.at;
    while (isSpace(bytes[index])) index += 1;
    this.at = index;
    return bytes[index];
  }

  private fail(message: string, position = Math.min(this.at, this.bytes.length)): null {
    this.failed ??= { message, position };
    [this.at, this.depth] = [this.bytes.length, 0];
    return null;
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function mix(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
}
