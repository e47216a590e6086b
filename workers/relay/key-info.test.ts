import { describe, expect, it } from 'vitest';
import { CATALOGUE, copiesOf, MODEL, NOW, ownerOf } from '../../tests/support/ledger';
import { PaperLedger } from '../../tests/support/paper-ledger';
import type { KeyInfo } from '../domain/ledger/calls';
import { keyInfoDocument } from './key-info';

const OWNER = ownerOf(1);
const INFO = new PaperLedger(copiesOf(OWNER), { wallClock: NOW, every: 5 }).keyInfo(OWNER.keyId);

describe('what a holder is told of models', () => {
  const modelsOf = (scope: KeyInfo['scope'], catalogue = CATALOGUE): unknown => {
    const info: KeyInfo = scope === undefined ? INFO : { ...INFO, scope };
    return keyInfoDocument(info, catalogue);
  };

  it('is each one that has a price, for a key without rules', () => {
    expect(modelsOf({})).toMatchObject({ models: expect.arrayContaining([MODEL]) });
  });

  it('is none that the rules of the key deny', () => {
    expect(modelsOf({ models: { deny: [MODEL] } })).not.toMatchObject({
      models: expect.arrayContaining([MODEL]),
    });
    expect(modelsOf({ models: { allow: [MODEL] } })).toMatchObject({ models: [MODEL] });
  });

  it('is no model whose price is yet to come', () => {
    const rows = CATALOGUE.rows.map((row) => ({ ...row, effectiveFrom: Date.now() * 2 }));
    expect(modelsOf({}, { ...CATALOGUE, rows })).toMatchObject({ models: [] });
  });

  it('is null while prices are not known, and from an older object nothing is restricted', () => {
    expect(keyInfoDocument(INFO, null)).toMatchObject({ models: null });
    const { scope: _scope, whenClientLeaves: _when, ...older } = INFO;
    const key = { clients: null, addresses: null, protocols: null, when_client_leaves: 'cancel' };
    expect(keyInfoDocument(older, CATALOGUE)).toMatchObject({ key });
  });
});
