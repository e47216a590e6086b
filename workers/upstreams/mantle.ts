// Claude on Bedrock's Messages endpoint: Anthropic's protocol, Amazon's credentials, names and
// refusals (reference: Anthropic wire facts §8).

import { withAwsCredential } from './aws-auth';
import { answered } from './answered';
import { mantleName } from './names';
import { prepareNative } from './native';
import type { Upstream } from './upstream';

export const mantle: Upstream = {
  operations: new Set(['messages', 'count_tokens']),

  async prepare(account, credential, call) {
    const nameOf = ({ model }: { readonly model: string }) => mantleName(model);
    const prepared = prepareNative(account, call, { prefix: '/anthropic', nameOf });
    if (!prepared.ok) return prepared;
    return withAwsCredential(
      prepared.value,
      { account, credential, service: 'bedrock-mantle' },
      call,
    );
  },

  translate: answered,
};
