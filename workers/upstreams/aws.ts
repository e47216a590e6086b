// Claude Platform on AWS: Anthropic's own service, with AWS in front, which knows callers by key or
// signature and refuses in its own words (reference: Anthropic wire facts §8).

import { withAwsCredential } from './aws-auth';
import { prepareNative, unfit } from './native';
import { translateUnlessAnthropics } from './refusals';
import type { Upstream } from './upstream';

const SERVICE = 'aws-external-anthropic';

export const aws: Upstream = {
  operations: new Set(['messages', 'count_tokens', 'models', 'model']),

  async prepare(account, credential, call) {
    if (account.workspace === null) return unfit('needs the account’s workspace');
    const prepared = prepareNative(account, call, { nameOf: ({ written }) => written });
    if (!prepared.ok) return prepared;
    prepared.value.headers.set('anthropic-workspace-id', account.workspace);
    return withAwsCredential(prepared.value, { account, credential, service: SERVICE }, call);
  },

  translate: (response) => (response.ok ? response : translateUnlessAnthropics(response)),
};
