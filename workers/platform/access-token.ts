// Access tokens of the control plane: JWTs that name a login and expire in minutes. They say who
// somebody claims to be; the session's row decides. An API key is never one, and the reverse.

import { jwtVerify, SignJWT } from 'jose';
import type { SessionId, UserId } from '../domain/ids';
import { isId } from '../domain/ids';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { hmacSha256 } from './digest';
import type { VersionedSecrets } from './env';
import { newest } from './env';

export const ACCESS_MS = 10 * MINUTE_MS;
const ISSUER = 'cloud-relay';
const AUDIENCE = 'control';
const TYPE = 'at+jwt';

export interface AccessClaims {
  readonly userId: UserId;
  readonly sessionId: SessionId;
  /** At the time of issue; the row's role is the one that counts. */
  readonly role: string;
}

/** A token for `claims`, signed with the newest secret; `now` in Unix ms. */
export async function mintAccess(
  claims: AccessClaims,
  { secrets, now }: { readonly secrets: VersionedSecrets; readonly now: number },
): Promise<string> {
  const { version, secret } = newest(secrets);
  const issuedAt = Math.floor(now / SECOND_MS);
  return new SignJWT({ sid: claims.sessionId, role: claims.role })
    .setProtectedHeader({ alg: 'HS256', typ: TYPE, kid: version })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(claims.userId)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + ACCESS_MS / SECOND_MS)
    .sign(await signingKey(secret));
}

/**
 * What `token` claims; null for one that is not this relay's, of another kind, algorithm or
 * audience, without one of the demanded claims, or past its end. `now` in Unix ms.
 */
export async function readAccess(
  token: string,
  { secrets, now }: { readonly secrets: VersionedSecrets; readonly now: number },
): Promise<AccessClaims | null> {
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const secret = Object.hasOwn(secrets, kid ?? '') ? secrets[kid ?? ''] : undefined;
        if (secret === undefined) throw new Error('unknown key');
        return signingKey(secret);
      },
      {
        algorithms: ['HS256'],
        typ: TYPE,
        issuer: ISSUER,
        audience: AUDIENCE,
        requiredClaims: ['iss', 'aud', 'sub', 'sid', 'role', 'exp'],
        currentDate: new Date(now),
      },
    );
    const { sub = '', sid, role } = payload;
    if (typeof sid !== 'string' || typeof role !== 'string') return null;
    return isId('user', sub) && isId('session', sid) ? { userId: sub, sessionId: sid, role } : null;
  } catch {
    return null;
  }
}

/** A key of its own for this use: the same secret signs refresh tokens too. */
function signingKey(secret: string): Promise<Uint8Array> {
  return hmacSha256(secret, 'access token');
}
