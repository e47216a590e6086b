// What the decision on a request needs: the rows of its key and prices that are new enough. Held
// ones are given at once; what is missing is read from D1 or Pool. It decides nothing.

import type { RelayError } from '../domain/errors';
import type { AdmitCall } from '../domain/ledger/calls';
import type { Copies } from '../domain/ledger/decide';
import type { Catalogue } from '../domain/pricing/catalogue';
import type { Result } from '../domain/result';
import { ok } from '../domain/result';
import type { CopyShelf } from './copy-shelf';
import type { PriceShelf } from './price-shelf';

interface Shelves {
  readonly copies: CopyShelf;
  readonly prices: PriceShelf;
}

interface Prepared {
  readonly copies: Copies;
  readonly catalogue: Catalogue;
}

/** All of it, if it is in memory: the warm path awaits nothing. */
export function preparedFor(
  { keyId, pricesVersion }: AdmitCall,
  shelves: Shelves,
): Result<Prepared, RelayError> | null {
  const copies = shelves.copies.of(keyId);
  const catalogue = shelves.prices.held(pricesVersion ?? 0);
  return copies === null || catalogue === null ? null : ok({ copies, catalogue });
}

/** The same, read where it is missing. Nothing is stored for a key that does not exist. */
export async function prepareFor(
  { keyId, pricesVersion }: AdmitCall,
  shelves: Shelves,
): Promise<Result<Prepared, RelayError>> {
  const [loaded, fresh] = await Promise.all([
    shelves.copies.load(keyId),
    shelves.prices.fresh(pricesVersion ?? 0),
  ]);
  if (!loaded.ok) return loaded;
  if (!fresh.ok) return fresh;
  // A push may have come in while Pool was asked: what is held now decides.
  const copies = shelves.copies.of(keyId) ?? loaded.value;
  return ok({ copies, catalogue: shelves.prices.keep(fresh.value) });
}
