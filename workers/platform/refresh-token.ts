// Refresh tokens: `rt_<version>_<session>_<value>_<tag>`. The tag tells a true token from a forged
// one without a look into the database; a token's successor is computed from it, so two who refresh
// with the same one get the same. Whether a session goes on, and which of its tokens is in force,
// its row says. Nothing here is stored.

import type { SessionId } from '../domain/ids';
import { BASE58_CLASS, bareId, prefixedId } from '../domain/ids';
import { base64url } from './base64';
import { hmacSha256, sameText } from './digest';
import type { VersionedSecrets } from './env';
import { newest } from './env';
import { randomBytes } from './random';

const VALUE_BYTES = 32;
/** 32 bytes in base64url, of the value and of the tag. */
const CHARACTERS = 43;
const FORM = new RegExp(
  `^(rt_([1-9][0-9]?)_(${BASE58_CLASS}{22})_[A-Za-z0-9_-]{${CHARACTERS}})_` +
    `([A-Za-z0-9_-]{${CHARACTERS}})$`,
);

/** A session's first token, under the newest of `secrets`. */
export async function mintRefresh(
  sessionId: SessionId,
  secrets: VersionedSecrets,
): Promise<string> {
  const { version, secret } = newest(secrets);
  const value = base64url(randomBytes(VALUE_BYTES));
  return signed(`rt_${version}_${bareId(sessionId)}_${value}`, secret);
}

/** Whose token it is, old or in force; null for one that this relay never made. */
export async function readRefresh(
  token: string,
  secrets: VersionedSecrets,
): Promise<SessionId | null> {
  const [, unsigned = '', version = '', bare = ''] = FORM.exec(token) ?? [];
  const secret = Object.hasOwn(secrets, version) ? secrets[version] : undefined;
  if (unsigned === '' || secret === undefined) return null;
  if (!(await sameText(token, await signed(unsigned, secret)))) return null;
  return prefixedId('session', bare);
}

/**
 * What may follow a true token, one a secret, the newest secret's first: a secret that came between
 * two refreshes with the same token does not part them. Throws RangeError for one that is not true.
 */
export async function successorsOf(
  token: string,
  secrets: VersionedSecrets,
): Promise<readonly string[]> {
  const [, , , bare = ''] = FORM.exec(token) ?? [];
  const sessionId = prefixedId('session', bare);
  const versions = Object.keys(secrets).toSorted((a, b) => Number(b) - Number(a));
  return Promise.all(
    versions.map(async (version) => {
      const secret = secrets[version] ?? '';
      const value = base64url(await hmacSha256(await keyOf(secret, 'refresh successor'), token));
      return signed(`rt_${version}_${bareId(sessionId)}_${value}`, secret);
    }),
  );
}

async function signed(unsigned: string, secret: string): Promise<string> {
  const tag = await hmacSha256(await keyOf(secret, 'refresh tag'), unsigned);
  return `${unsigned}_${base64url(tag)}`;
}

/** A key of its own for each use of the secret, which signs access tokens too. */
async function keyOf(secret: string, use: string): Promise<string> {
  return base64url(await hmacSha256(secret, use));
}
