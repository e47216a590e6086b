// Documents of any size in a Ledger object's storage.

import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { unknownWallet } from '../../tests/workerd/wallet-object';
import { keepDocument, readDocument } from './documents';
import { LedgerStorage } from './ledger-storage';

/** Runs `action` with the storage of an object that has nothing in it. */
async function stored<T>(action: (storage: LedgerStorage, names: () => string[]) => T): Promise<T> {
  return runInDurableObject(unknownWallet().stub, (_object, { storage: { sql } }) =>
    action(new LedgerStorage(sql), () =>
      sql
        .exec<{ name: string }>('SELECT name FROM documents ORDER BY name')
        .toArray()
        .map(({ name }) => name),
    ),
  );
}

describe('a document', () => {
  it.each([
    ['small', 'x'],
    ['just one part', 'x'.repeat(499_998)],
    ['two parts', 'x'.repeat(499_999)],
    ['above what a row takes', 'x'.repeat(3_000_000)],
    ['of wide characters', '語🙂'.repeat(400_000)],
    ['of wide characters, one off', `x${'🙂'.repeat(800_000)}`],
  ])('that is %s is read as it was kept', async (_, text) => {
    await stored((storage) => {
      const run = storage.run.bind(storage);
      keepDocument(run, 'checkpoint', { text });
      keepDocument(run, 'catalogue', { text: 'another' });
      expect(readDocument<{ text: string }>(run, 'checkpoint')?.text === text).toBe(true);
      expect(readDocument(run, 'catalogue')).toEqual({ text: 'another' });
    });
  });

  it('that becomes shorter leaves nothing of what it was', async () => {
    await stored((storage, names) => {
      const run = storage.run.bind(storage);
      keepDocument(run, 'checkpoint', 'x'.repeat(1_200_000));
      expect(names()).toEqual(['checkpoint', 'checkpoint#0001', 'checkpoint#0002']);
      keepDocument(run, 'checkpoint', 'y');
      expect(names()).toEqual(['checkpoint']);
      expect(readDocument(run, 'checkpoint')).toBe('y');
    });
  });

  it('that is not there is null', async () => {
    await stored((storage) => {
      expect(readDocument(storage.run.bind(storage), 'checkpoint')).toBeNull();
    });
  });
});
