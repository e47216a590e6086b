// How a code that is worth money is written: `CR-XXXX-XXXX-XXXX-XXXX`, 80 bits in base32 without
// letters that look like others. People type codes, so reading is lenient; one spelling is stored.

/** Crockford's: no I, L, O, U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LOOKALIKES: Readonly<Record<string, string>> = { I: '1', L: '1', O: '0' };
const BITS = 5n;
const CHARACTERS = 16;
export const CODE_BYTES = 10;

/** The code of these bytes, in its one spelling. Throws RangeError unless they are ten. */
export function codeText(bytes: Uint8Array): string {
  if (bytes.length !== CODE_BYTES) throw new RangeError('a code takes 10 random bytes');
  let value = 0n;
  for (const byte of bytes) value = value * 256n + BigInt(byte);
  let text = '';
  for (let index = 0; index < CHARACTERS; index += 1) {
    text = ALPHABET.charAt(Number(value % 2n ** BITS)) + text;
    value >>= BITS;
  }
  return spelled(text);
}

/**
 * The one spelling of what somebody typed: case, spaces and dashes do not matter, I and L are 1, O
 * is 0. null: it is no code.
 */
export function readCode(typed: string): string | null {
  const bare = typed.toUpperCase().replaceAll(/[\s-]/g, '');
  if (!bare.startsWith('CR')) return null;
  const text = bare.slice(2).replaceAll(/[ILO]/g, (letter) => LOOKALIKES[letter] ?? letter);
  const isCode = text.length === CHARACTERS && [...text].every((each) => ALPHABET.includes(each));
  return isCode ? spelled(text) : null;
}

function spelled(text: string): string {
  return `CR-${text.match(/.{4}/g)?.join('-') ?? ''}`;
}
