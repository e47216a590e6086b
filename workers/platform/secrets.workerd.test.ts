// Digests, key tags, sealed credentials and password hashes, in the runtime they are made for.

import { describe, expect, it } from 'vitest';
import type { AccountId } from '../domain/ids';
import { newId } from '../domain/ids';
import { parseKey } from '../domain/keys/format';
import { hmacSha256, mintKey, sameText, sha256, verifyKeyTag } from './digest';
import { hashPassword, verifyPassword } from './password';
import { randomBytes } from './random';
import { Credential, seal, unseal } from './seal';

const NOW = 1_795_000_000_000;
const SECRETS = { '1': 'first-secret-first-secret', '12': 'newest-secret-newest-secret' };

function order() {
  return {
    walletId: newId('wallet', NOW, randomBytes(10)),
    keyId: newId('key', NOW, randomBytes(10)),
    region: 'weur',
  } as const;
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** `text` with its last character replaced by another of the same alphabet. */
function bent(text: string): string {
  return text.slice(0, -1) + (text.endsWith('2') ? '3' : '2');
}

describe('digests', () => {
  it('SHA-256 is written as base64url', async () => {
    expect(await sha256('abc')).toBe('ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0');
  });

  it('HMAC-SHA-256 gives the known value, the second time with the imported key too', async () => {
    const known = 'f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8';
    const text = 'The quick brown fox jumps over the lazy dog';
    expect(hex(await hmacSha256('key', text))).toBe(known);
    expect(hex(await hmacSha256('key', text))).toBe(known);
    expect(hex(await hmacSha256('kez', text))).not.toBe(known);
  });

  it('texts are the same only when they are equal, of whatever lengths', async () => {
    expect(await sameText('secret', 'secret')).toBe(true);
    expect(await sameText('secret', 'secreT')).toBe(false);
    expect(await sameText('secret', 'secret ')).toBe(false);
    expect(await sameText('', 'secret')).toBe(false);
  });

  it('random bytes are as many as asked and not the same twice', () => {
    expect(randomBytes(10)).toHaveLength(10);
    expect(hex(randomBytes(16))).not.toBe(hex(randomBytes(16)));
  });
});

describe('relay keys', () => {
  it('a minted key is true, signed by the newest secret, and names what it is for', async () => {
    const asked = order();
    const minted = await mintKey(asked, SECRETS);
    expect(parseKey(minted.key)).toMatchObject({ ...asked, tagVersion: '12' });
    expect(minted.tagVersion).toBe('12');
    expect(minted.hash).toBe(await sha256(minted.key));
    expect(await verifyKeyTag(minted.key, SECRETS)).toBe(true);
  });

  it('two keys for the same order differ', async () => {
    const asked = order();
    expect((await mintKey(asked, SECRETS)).key).not.toBe((await mintKey(asked, SECRETS)).key);
  });

  it('a key stays true while the older secret that signed it is given', async () => {
    const { key } = await mintKey(order(), { '1': SECRETS['1'] });
    expect(await verifyKeyTag(key, SECRETS)).toBe(true);
    expect(await verifyKeyTag(key, { '12': SECRETS['12'] })).toBe(false);
  });

  it('a key with another tag, another wallet, another version or no form is not true', async () => {
    const { key } = await mintKey(order(), SECRETS);
    const other = await mintKey(order(), SECRETS);
    const tag = key.slice(key.lastIndexOf('_'));
    const swapped = other.key.slice(0, other.key.lastIndexOf('_')) + tag;
    const versioned = key.replace('cr_12', 'cr_1');
    for (const forged of [bent(key), swapped, versioned, `${key}x`, '', 'cr_1weur_a_b_c_d']) {
      expect(await verifyKeyTag(forged, SECRETS)).toBe(false);
    }
  });
});

describe('sealed credentials', () => {
  const accountId: AccountId = newId('account', NOW, randomBytes(10));
  const context = { masterKeys: SECRETS, accountId };

  it('what was sealed is unsealed, whatever its characters', async () => {
    for (const plain of ['sk-ant-api03-abc', '', 'ключ 🔑', '\uFEFFmark']) {
      const sealed = await seal(plain, context);
      expect(sealed.keyVersion).toBe('12');
      expect((await unseal(sealed, context)).reveal()).toBe(plain);
    }
  });

  it('the same text sealed twice looks different, and neither shows it', async () => {
    const [first, second] = [await seal('sk-ant-x', context), await seal('sk-ant-x', context)];
    expect(first.ciphertext).not.toBe(second.ciphertext);
    expect(JSON.stringify([first, second])).not.toContain('sk-ant-x');
  });

  it('an older master key still opens what it sealed', async () => {
    const sealed = await seal('sk-ant-x', { ...context, masterKeys: { '1': SECRETS['1'] } });
    expect(sealed.keyVersion).toBe('1');
    expect((await unseal(sealed, context)).reveal()).toBe('sk-ant-x');
  });

  it('it opens for no other account, under no other key, and not when changed', async () => {
    const sealed = await seal('sk-ant-x', context);
    const strange = newId('account', NOW, randomBytes(10));
    const changed = { ...sealed, ciphertext: sealed.ciphertext.replace(/^./, (c) => bent(c)) };
    const rekeyed = { '12': 'another-secret-another-sec' };
    await expect(unseal(sealed, { ...context, accountId: strange })).rejects.toThrow();
    await expect(unseal(sealed, { ...context, masterKeys: rekeyed })).rejects.toThrow();
    await expect(unseal(changed, context)).rejects.toThrow();
    await expect(unseal(sealed, { ...context, masterKeys: { '1': SECRETS['1'] } })).rejects.toThrow(
      'master key 12 is not given',
    );
  });

  it('a credential shows itself in no text, JSON or inspection', () => {
    const credential = new Credential('sk-ant-x');
    const inspect: unknown = Reflect.get(credential, Symbol.for('nodejs.util.inspect.custom'));
    const inspected: unknown = typeof inspect === 'function' ? inspect.call(credential) : null;
    const shown = [String(credential), JSON.stringify({ credential }), inspected];
    expect(shown).toEqual(['[sealed]', '{"credential":"[sealed]"}', '[sealed]']);
    expect(Object.keys(credential)).toEqual([]);
    expect(credential.reveal()).toBe('sk-ant-x');
  });
});

describe('passwords', () => {
  /** Made by another implementation of argon2id. */
  const KNOWN =
    '$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$' +
    'gy5SuVm5Z7Vw7keB9se9p87QGcomaseB/S2U1OhTsM0';

  it('a hash made elsewhere is verified, and another password is not', async () => {
    expect(await verifyPassword('correct horse battery staple', KNOWN)).toBe(true);
    expect(await verifyPassword('correct horse battery stapler', KNOWN)).toBe(false);
  });

  it('a hash names its cost, is salted and opens to its password alone', async () => {
    // At once: two hashes may not spoil each other's memory.
    const password = 'pässword one';
    const hashes = await Promise.all([hashPassword(password), hashPassword(password)]);
    expect(hashes[0]).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[^$]{22}\$[^$]{43}$/);
    expect(hashes[0]).not.toBe(hashes[1]);
    for (const hash of hashes) expect(await verifyPassword(password, hash)).toBe(true);
    expect(await verifyPassword('', hashes[0])).toBe(false);
  });

  it('a string that is no hash, or asks for absurd memory, is no password’s', async () => {
    const absurd = KNOWN.replace('m=19456', 'm=999999');
    for (const phc of ['', 'plain', absurd, KNOWN.replace('argon2id', 'argon2i')]) {
      expect(await verifyPassword('correct horse battery staple', phc)).toBe(false);
    }
  });
});
