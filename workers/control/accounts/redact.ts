// Text of an upstream, made safe to show: some echo the credential that they were sent.

import { HIDDEN } from '../../platform/seal';

/** Shorter pieces of a credential tell nothing and are in many texts. */
const PIECE_CHARACTERS = 8;
/** So much of a text is looked at. */
const TEXT_CHARACTERS_MAX = 4_000;

/** `text` up to `most` characters, without the secret: whole, in pieces, encoded, in any case. */
export function redacted(text: string, secret: string, most: number): string {
  const forms = [secret, encodeURIComponent(secret), btoa(secret)].map((form) =>
    form.toLowerCase(),
  );
  const looked = text.slice(0, TEXT_CHARACTERS_MAX);
  const lower = looked.toLowerCase();
  const pieceLength = Math.min(PIECE_CHARACTERS, Math.max(1, secret.length));
  let safe = '';
  let at = 0;
  while (at < looked.length) {
    const start = at;
    const longest = Math.max(...forms.map((form) => sharedLength(lower.slice(start), form)));
    if (longest >= pieceLength) {
      safe += HIDDEN;
      at += longest;
    } else {
      safe += looked.charAt(at);
      at += 1;
    }
  }
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  return safe.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, most);
}

/** How many characters at the beginning of `text` are a piece of `secret`. */
function sharedLength(text: string, secret: string): number {
  let length = 0;
  while (length < text.length && secret.includes(text.slice(0, length + 1))) length += 1;
  return length;
}
