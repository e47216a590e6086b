// Step 1, read: the body, whole and once, within the limits of one isolate's memory, and what must
// be known of it. The bytes themselves stay as they came: they are what will be sent.

import type { RelayError } from '../domain/errors';
import type { Result } from '../domain/result';
import { fail, ok } from '../domain/result';
import { SECOND_MS } from '../domain/time';
import { concatBytes } from '../platform/bytes';
import { anthropic } from '../protocols/anthropic';
import { passes } from '../upstreams/headers';
import type { ReadBody } from './journey';
import { receive, STALL_MS } from './receive';

/** The Messages API's own limit. */
export const BODY_BYTES_MAX = 32 * 1024 * 1024;
/**
 * Of the headers that go on. Claude Code sends some 2 kB; what an upstream's front refuses for its
 * size it refuses as if it had failed itself, which would count against the account.
 */
const HEADERS_BYTES_MAX = 16 * 1024;
/** What all requests of one isolate may hold together. */
export const BUFFERED_BYTES_MAX = 64 * 1024 * 1024;

/** A body up to this is not waited for with care: a thousand of them fit. */
const SMALL_BYTES = 64 * 1024;

let bufferedBytes = 0;

/** Reads a request's body for `operation`; the caller releases it when no attempt needs it. */
export async function readBody(
  request: Request,
  operation: 'messages' | 'count_tokens',
): Promise<Result<ReadBody, RelayError>> {
  const encoding = request.headers.get('content-encoding')?.trim().toLowerCase() || 'identity';
  const refusal = refusalOf(request.headers, encoding);
  if (refusal !== null) return fail(refusal);
  const share = takeShare();
  const read = await readParts({ request, encoding, operation, share }).catch(() => {
    const message = 'The body broke off before it was complete.';
    return fail<RelayError>({ kind: 'bad-request', message });
  });
  if (read.ok) return ok({ ...read.value, release: share.release });
  share.release();
  return read;
}

async function readParts(given: {
  readonly request: Request;
  readonly encoding: string;
  readonly operation: 'messages' | 'count_tokens';
  readonly share: Share;
}): Promise<Result<Omit<ReadBody, 'release'>, RelayError>> {
  const { request, encoding, operation, share } = given;
  const bytes = await readWhole(request, share);
  if (!bytes.ok) return bytes;
  const plain = encoding === 'identity' ? bytes : await unpack(bytes.value, encoding, share);
  if (!plain.ok) return plain;
  const essentials = anthropic.readEssentials(plain.value, operation);
  if (!essentials.ok) return essentials;
  return ok({ bytes: bytes.value, plain: plain.value, essentials: essentials.value });
}

function refusalOf(headers: Headers, encoding: string): RelayError | null {
  if (!/^application\/json\s*(?:;|$)/i.test(headers.get('content-type')?.trim() ?? '')) {
    return { kind: 'bad-request', message: 'content-type: must be application/json' };
  }
  if (!['identity', 'gzip', 'deflate'].includes(encoding)) {
    return { kind: 'unsupported-encoding', encoding };
  }
  if (Number(headers.get('content-length') ?? 0) > BODY_BYTES_MAX) return tooLarge(false);
  let passedBytes = 0;
  for (const [name, value] of headers) {
    if (passes(name)) passedBytes += name.length + value.length;
  }
  const message = `headers: must be at most ${HEADERS_BYTES_MAX} bytes together`;
  return passedBytes > HEADERS_BYTES_MAX ? { kind: 'bad-request', message } : null;
}

/** A request's part of the isolate's buffer. */
interface Share {
  /** false: the isolate is full. */
  readonly grow: (bytes: number) => boolean;
  readonly release: () => void;
}

function takeShare(): Share {
  let held = 0;
  return {
    grow: (bytes) => {
      if (bufferedBytes + bytes > BUFFERED_BYTES_MAX) return false;
      bufferedBytes += bytes;
      held += bytes;
      return true;
    },
    release: () => {
      bufferedBytes -= held;
      held = 0;
    },
  };
}

async function readWhole(
  request: Request,
  share: Share,
): Promise<Result<Uint8Array<ArrayBuffer>, RelayError>> {
  const declared = request.headers.get('content-length');
  if (request.body === null) return ok(new Uint8Array(0));
  if (declared === null) return collect(request.body, share, false);
  const length = Number(declared);
  if (length <= SMALL_BYTES) {
    const small = new Uint8Array(await request.arrayBuffer());
    return share.grow(small.byteLength) ? ok(small) : fail(FULL);
  }
  const { grow } = share;
  const whole = await receive({ body: request.body, length, grow, stallMs: STALL_MS });
  if (whole === 'full') return fail(FULL);
  return whole === 'stalled' ? fail(STALLED) : ok(whole);
}

async function unpack(
  packed: Uint8Array<ArrayBuffer>,
  encoding: string,
  share: Share,
): Promise<Result<Uint8Array<ArrayBuffer>, RelayError>> {
  const format = encoding === 'gzip' ? 'gzip' : 'deflate';
  const body = new Response(packed).body;
  if (body === null) return ok(new Uint8Array(0));
  try {
    return await collect(body.pipeThrough(new DecompressionStream(format)), share, true);
  } catch {
    return fail({ kind: 'bad-request', message: `The body is not valid ${encoding}.` });
  }
}

async function collect(
  body: ReadableStream<Uint8Array>,
  share: Share,
  decoded: boolean,
): Promise<Result<Uint8Array<ArrayBuffer>, RelayError>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > BODY_BYTES_MAX) return fail(tooLarge(decoded));
    if (!share.grow(chunk.byteLength)) return fail(FULL);
    chunks.push(chunk);
  }
  return ok(concatBytes(chunks));
}

const STALLED: RelayError = { kind: 'bad-request', message: 'The body stopped coming.' };
const FULL: RelayError = { kind: 'busy', what: 'buffers', retryAfterMs: SECOND_MS };

function tooLarge(decoded: boolean): RelayError {
  return { kind: 'too-large', limitBytes: BODY_BYTES_MAX, decoded };
}
