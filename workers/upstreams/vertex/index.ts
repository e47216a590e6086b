// Claude on Google Cloud: the model in the path, the API's version in the body, a service account's
// token (reference: Anthropic wire facts §8).

import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import type { SnapshotAccount } from '../../domain/snapshot';
import { answered } from '../answered';
import { leftOutFields } from '../capabilities';
import { parseCredential } from '../credential';
import { headersFor, listOf } from '../headers';
import { nameAt, vertexName } from '../names';
import { edited, impossible, setBetas, unfit, withPrefix } from '../native';
import { tokenFor } from '../tokens';
import type { PreparedCall, PrepareFailure, Upstream, UpstreamCall } from '../upstream';
import { exchange } from './token';

/** Google's name of the version that Anthropic's API calls 2023-06-01. */
const FIRST_VERSION = 'vertex-2023-10-16';
const NAME = /^[a-z0-9-]{1,63}$/;

export const vertex: Upstream = {
  operations: new Set(['messages', 'count_tokens']),

  async prepare(account, credential, call) {
    const parsed = parseCredential(account.kind, credential.reveal());
    if (!parsed.ok) return unfit(parsed.error);
    const own = parsed.value;
    if (own.type !== 'service_account') return unfit('is of another kind');
    const prepared = preparePredict(account, account.project ?? own.project_id, call);
    if (!prepared.ok) return prepared;
    const token = await tokenFor({
      name: `${account.id} ${account.credential.ciphertext}`,
      call,
      exchange: () => exchange(own, { account, call }),
    });
    if (!token.ok) return token;
    prepared.value.headers.set('authorization', `Bearer ${token.value}`);
    return prepared;
  },

  translate: answered,
};

function preparePredict(
  account: SnapshotAccount,
  project: string,
  call: UpstreamCall,
): Result<PreparedCall, PrepareFailure> {
  if (call.body === null) return impossible('there is no such operation');
  const location = account.region ?? '';
  if (!NAME.test(location) || !NAME.test(project)) return unfit('needs a region and a project');
  const name = nameAt(account, call, ({ model }) => vertexName(model));
  if (!name.ok) return name;
  if (name.value.includes('/')) return impossible('the model has no name that could be sent');
  const isCount = call.operation === 'count_tokens';
  const body = edited(call.body, {
    ...(isCount ? { replace: { model: name.value } } : {}),
    remove: [...(isCount ? [] : ['model']), ...leftOutFields(account.kind)],
    add: { anthropic_version: versionFor(call.headers.get('anthropic-version')) },
  });
  if (!body.ok) return body;
  const headers = headersFor(call.headers);
  headers.delete('anthropic-version');
  headers.delete('content-encoding');
  setBetas(headers, account, listOf(headers.get('anthropic-beta')));
  const verb = call.body.isStream ? 'streamRawPredict' : 'rawPredict';
  // Google's addresses have the at sign of a dated name as it is.
  const model = encodeURIComponent(name.value).replaceAll('%40', '@');
  const action = isCount ? 'count-tokens:rawPredict' : `${model}:${verb}`;
  const place = `/projects/${project}/locations/${location}/publishers/anthropic/models`;
  const url = `${withPrefix(account.baseUrl, '/v1')}${place}/${action}`;
  return ok({ url, method: 'POST', headers, body: body.value });
}

/** The client's version, under Google's name. */
function versionFor(asked: string | null): string {
  return asked === null || asked === '2023-06-01' ? FIRST_VERSION : asked;
}
