// Claude on Bedrock's runtime: the model in the path, the API's version and betas in the body, the
// answer in Amazon's event stream (reference: Anthropic wire facts §8).

import type { Result } from '../../domain/result';
import { ok } from '../../domain/result';
import type { SnapshotAccount } from '../../domain/snapshot';
import { withAwsCredential } from '../aws-auth';
import { betasFor, leftOutFields } from '../capabilities';
import { answeredHeaders, listOf } from '../headers';
import { bedrockName, nameAt } from '../names';
import { edited, impossible } from '../native';
import { translateRefusal } from '../refusals';
import { regionOf } from '../sign';
import type { PreparedCall, PrepareFailure, Upstream, UpstreamCall } from '../upstream';
import { translateEvents } from './events';

const SERVICE = 'bedrock';
const EVENT_STREAM = 'application/vnd.amazon.eventstream';
/** Bedrock's name of the version that Anthropic's API calls 2023-06-01. */
const FIRST_VERSION = 'bedrock-2023-05-31';
/** Models whose name ends in a version take that one alone (docs: Claude on Bedrock, Opus 4.6). */
const VERSIONED_NAME = /-v\d+(?::\d+)?$/;

export const bedrock: Upstream = {
  operations: new Set(['messages']),

  async prepare(account, credential, call) {
    const prepared = prepareInvoke(account, call);
    if (!prepared.ok) return prepared;
    return withAwsCredential(prepared.value, { account, credential, service: SERVICE }, call);
  },

  translate(response, call) {
    if (!response.ok) return translateRefusal(response);
    const type = response.headers.get('content-type') ?? '';
    if (type.startsWith(EVENT_STREAM)) return translateEvents(response, call);
    const { status, headers } = response;
    return new Response(response.body, { status, headers: answeredHeaders(headers) });
  },
};

function prepareInvoke(
  account: SnapshotAccount,
  call: UpstreamCall,
): Result<PreparedCall, PrepareFailure> {
  if (call.operation !== 'messages' || call.body === null) {
    return impossible('there is no such operation');
  }
  const region = regionOf(account);
  const name = nameAt(account, call, ({ model }) => bedrockName(model, region));
  if (!name.ok) return name;
  const betas = betasFor(account.kind, listOf(call.headers.get('anthropic-beta')));
  const body = edited(call.body, {
    remove: ['model', 'stream', 'anthropic_beta', ...leftOutFields(account.kind)],
    add: {
      anthropic_version: versionFor(name.value, call.headers.get('anthropic-version')),
      ...(betas.length === 0 ? {} : { anthropic_beta: betas }),
    },
  });
  if (!body.ok) return body;
  const action = call.body.isStream ? 'invoke-with-response-stream' : 'invoke';
  const url = `${account.baseUrl}/model/${encodeURIComponent(name.value)}/${action}`;
  const headers = new Headers({
    accept: call.body.isStream ? EVENT_STREAM : 'application/json',
    'accept-encoding': 'identity',
    'content-type': 'application/json',
  });
  return ok({ url, method: 'POST', headers, body: body.value });
}

/**
 * The client's version, under Bedrock's name. A model that has the first version alone gets that:
 * whatever the later one allows means the same there, it only forbids more.
 */
function versionFor(name: string, asked: string | null): string {
  const isFirst = asked === null || asked === '2023-06-01' || VERSIONED_NAME.test(name);
  return isFirst ? FIRST_VERSION : asked;
}
