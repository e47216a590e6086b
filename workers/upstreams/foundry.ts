// Claude in Microsoft Foundry: Anthropic's protocol with a key of the resource, or a token of
// Microsoft Entra (reference: Anthropic wire facts §8).

import type { Result } from '../domain/result';
import { ok } from '../domain/result';
import { answered } from './answered';
import type { EntraCredential } from './credential';
import { parseCredential } from './credential';
import { askForToken } from './exchange';
import { prepareNative, unfit } from './native';
import { tokenFor } from './tokens';
import type { PreparedCall, PrepareFailure, Upstream } from './upstream';

const TOKEN_HOST = 'login.microsoftonline.com';
/** All that a token for Foundry's models is good for. */
const SCOPE = 'https://cognitiveservices.azure.com/.default';

export const foundry: Upstream = {
  operations: new Set(['messages', 'count_tokens']),

  async prepare(account, credential, call) {
    const parsed = parseCredential(account.kind, credential.reveal());
    if (!parsed.ok) return unfit(parsed.error);
    const nameOf = ({ written }: { readonly written: string }) => written;
    const prepared = prepareNative(account, call, { prefix: '/anthropic', nameOf });
    if (!prepared.ok) return prepared;
    const own = parsed.value;
    if (own.type === 'key') return withHeader(prepared.value, 'x-api-key', own.key);
    if (own.type !== 'entra') return unfit('is of another kind');
    const token = await tokenFor({
      name: `${account.id} ${account.credential.ciphertext}`,
      call,
      exchange: () => askForToken(tokenRequest(own), account, call),
    });
    if (!token.ok) return token;
    return withHeader(prepared.value, 'authorization', `Bearer ${token.value}`);
  },

  translate: answered,
};

function withHeader(
  prepared: PreparedCall,
  name: string,
  value: string,
): Result<PreparedCall, PrepareFailure> {
  prepared.headers.set(name, value);
  return ok(prepared);
}

/** The client credentials grant (RFC 6749 §4.4). */
function tokenRequest({ tenantId, clientId, clientSecret }: EntraCredential) {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    scope: SCOPE,
  });
  return {
    host: TOKEN_HOST,
    path: `/${tenantId}/oauth2/v2.0/token`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  };
}
