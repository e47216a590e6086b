// Every status that an upstream can refuse with, with and without a `retry-after`, and the words
// that say more than a status: as a stream and as JSON, with another account beside it and with
// none.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Case } from '../support/fault-checks';
import {
  caseOf,
  casesOf,
  expectLoss,
  expectMove,
  expectUnheld,
  namesOf,
} from '../support/fault-checks';
import { STATUSES, withRetryAfter, WORDS } from '../support/fault-refusals';
import type { Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

const FAULTS = [
  ...STATUSES,
  ...STATUSES.map((fault) => withRetryAfter(fault, 'seconds')),
  ...STATUSES.map((fault) => withRetryAfter(fault, 'date')),
  ...WORDS,
];
let owner: Owner;
let cases: readonly Case[] = [];

beforeAll(async () => {
  owner = await ownerOfAccounts();
  cases = await casesOf(owner, FAULTS);
}, 120_000);
afterAll(() => owner.end(), 120_000);

describe.concurrent.each(namesOf(FAULTS))('%s', (what) => {
  test('is answered by the other account, or is the client’s own affair', async () => {
    await expectMove(owner, caseOf(cases, what));
  });

  test('is told to a client that has no other account, and costs nothing', async () => {
    await expectLoss(owner, caseOf(cases, what));
  });
});

test('nothing else is held against any account', async () => {
  expect(cases.length).toBeGreaterThan(FAULTS.length);
  await expectUnheld(owner, cases);
});
