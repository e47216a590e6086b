// Chance: the one place that asks the platform for it. Rules get random bytes as arguments.

/** `count` bytes that nobody can guess. */
export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(count));
}
