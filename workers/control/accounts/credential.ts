// Whether a text can be a credential of a kind at all. It asks nobody whether it opens anything.

import type { AccountKind } from '../../domain/snapshot';

/** What is wrong with `text` as a credential for accounts of `kind`; null: nothing. */
export function credentialProblem(kind: AccountKind, text: string): string | null {
  switch (kind) {
    case 'anthropic':
    case 'anthropic-compatible':
      return /^[\x21-\x7e]{1,4096}$/.test(text) ? null : 'must be a key: one word of ASCII';
  }
}
