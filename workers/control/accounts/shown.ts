// An account in the words of the contract: all but its credential.

import type { Account } from '../contract/account-fields';
import { shownNumbers } from '../prices/shown';
import type { PriceRow } from '../../domain/pricing/catalogue';
import type { ManagedAccount } from '../../store/accounts';

/** What anybody may see who may see accounts. */
export function shown(account: ManagedAccount): Account {
  const { credential, version: _, models, groups, modelNames, activeHours, ...rest } = account;
  const { costFactor, ownPrices, ...plain } = rest;
  return {
    ...plain,
    groups: [...groups],
    models: models === null ? null : [...models],
    modelNames: { ...modelNames },
    activeHours: activeHours === null ? null : { ...activeHours, days: [...activeHours.days] },
    costFactor: [...costFactor],
    ownPrices: ownPrices.map(ownPriceOf),
    credentialKeyVersion: credential.keyVersion,
  };
}

function ownPriceOf(row: PriceRow): Account['ownPrices'][number] {
  const { maxOutputTokens: _, ...numbers } = shownNumbers(row);
  return { model: row.model, ...numbers };
}
