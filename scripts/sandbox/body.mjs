// Reads a request's body whole: bounded, unpacked, parsed.

import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';

const BODY_BYTES_MAX = 32 * 1024 * 1024;
/** @type {Record<string, (packed: Buffer) => Promise<Buffer>>} */
const UNPACKERS = {
  identity: async (plain) => plain,
  gzip: (packed) => promisify(gunzip)(packed, { maxOutputLength: BODY_BYTES_MAX }),
  deflate: (packed) => promisify(inflate)(packed, { maxOutputLength: BODY_BYTES_MAX }),
};

/** A body that is answered with an error of the provider's shape. */
export class BodyProblem extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<import('./server.mjs').Fields>}
 */
export async function readBody(request) {
  const packed = await collect(request);
  const unpack = UNPACKERS[request.headers['content-encoding'] ?? 'identity'];
  if (unpack === undefined) throw new BodyProblem(400, 'Unsupported content encoding');
  const bytes = await unpack(packed).catch(() => {
    throw new BodyProblem(400, 'The body could not be decoded');
  });
  return parse(bytes.toString('utf8'));
}

/** @param {import('node:http').IncomingMessage} request */
async function collect(request) {
  const chunks = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    sizeBytes += chunk.length;
    if (sizeBytes > BODY_BYTES_MAX) {
      throw new BodyProblem(413, 'Request exceeds the maximum size');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @param {string} text */
function parse(text) {
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Answered below, like a JSON that is no object.
  }
  throw new BodyProblem(400, 'The request body is not valid JSON');
}
