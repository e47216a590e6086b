// What an upstream can do wrong before its answer begins, without a refusal that can be read: every
// such fault as a stream and as JSON, with another account beside it and with none.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Case } from '../support/fault-checks';
import {
  shortenHangs,
  caseOf,
  casesOf,
  expectLoss,
  expectMove,
  expectUnheld,
  namesOf,
} from '../support/fault-checks';
import { ERROR_EVENTS, SILENT } from '../support/faults';
import type { Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

const FAULTS = [...SILENT, ...ERROR_EVENTS];
let owner: Owner;
let cases: readonly Case[] = [];

beforeAll(async () => {
  owner = await ownerOfAccounts();
  await shortenHangs(owner);
  cases = await casesOf(owner, FAULTS);
}, 120_000);
afterAll(() => owner.end(), 120_000);

describe.concurrent.each(namesOf(FAULTS))('%s', (what) => {
  test('is nothing that a client of two accounts sees', async () => {
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
