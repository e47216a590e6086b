// What an admin has given of an account, as the account has it: fields checked against each other
// and against the kind. What each field takes by itself is the contract's to say.

import { baseUrlOf } from './address';
import { placeProblem, usualAddress } from './kinds';
import type * as z from 'zod/mini';
import { rowNumbers } from '../prices/shown';
import type { Refused } from '../refusals';
import { refused } from '../refusals';
import type { Call } from '../visit';
import type { accounts } from '../contract/accounts';
import type { PriceRow } from '../../domain/pricing/catalogue';
import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import type { AccountKind } from '../../domain/snapshot';
import type { AccountChange, ManagedAccount } from '../../store/accounts';
import { credentialProblem } from '../../upstreams/credential';

type Changing = z.infer<typeof accounts.change.body>;
type OwnPrice = NonNullable<Changing['ownPrices']>[number];

/** A bound for holds, which are made of the price alone. */
const OUTPUT_TOKENS = 1_000_000;

type Seen = Pick<Call, 'url' | 'config'>;
type Kept = Omit<ManagedAccount, 'credential'>;

/** What `given` changes of `before`; the address follows its place unless it was said. */
export function changeOf(
  given: Changing,
  before: Kept,
  seen: Seen,
): Result<AccountChange, Refused> {
  const { baseUrl, ownPrices, ...plain } = given;
  const said = Object.fromEntries(
    Object.entries(plain).filter(([, value]) => value !== undefined),
  ) as Omit<AccountChange, 'ownPrices' | 'baseUrl'>;
  const own = ownPrices === undefined ? {} : { ownPrices: ownPrices.map(priceOf) };
  const after = { ...before, ...said };
  const problems = placeProblem(before.kind, after);
  if (problems !== null) return refused('not-valid', { fields: problems });
  const address = addressOf(baseUrl, { before, after }, seen);
  if (!address.ok) return address;
  return ok({ ...said, ...own, ...address.value });
}

/** The base URL, when it is another one now or another rule holds for it. */
function addressOf(
  given: string | undefined,
  { before, after }: { readonly before: Kept; readonly after: Kept },
  seen: Seen,
): Result<{ readonly baseUrl?: string }, Refused> {
  const { kind, allowsOtherHost } = after;
  const isUsual = before.baseUrl === '' || before.baseUrl === usualAddress(kind, before);
  const wanted = given ?? (isUsual ? usualAddress(kind, after) : null) ?? before.baseUrl;
  if (wanted === '') return refused('not-valid', { fields: { baseUrl: 'is needed' } });
  if (wanted === before.baseUrl && allowsOtherHost === before.allowsOtherHost) return ok({});
  const address = baseUrlOf(wanted, { kind, allowsOtherHost }, seen);
  return address.ok ? ok({ baseUrl: address.value }) : address;
}

/** An object's JSON, or the text itself; `not-valid` where it cannot be one of the kind. */
export function credentialOf(
  given: string | Readonly<Record<string, unknown>>,
  kind: AccountKind,
): Result<string, Refused> {
  const text = typeof given === 'string' ? given : JSON.stringify(given);
  const problem = credentialProblem(kind, text);
  return problem === null ? ok(text) : refused('not-valid', { fields: { credential: problem } });
}

function priceOf({ model, ...numbers }: OwnPrice): PriceRow {
  return {
    id: `${model}@own`,
    model,
    family: model,
    displayName: model,
    effectiveFrom: 0,
    ...rowNumbers({ ...numbers, maxOutputTokens: OUTPUT_TOKENS }),
  };
}
