// Vendor kind → its room. The type makes a missing kind a compile error.

import type { AccountKind } from '../domain/snapshot';
import { anthropic } from './anthropic';
import { aws } from './aws';
import { bedrock } from './bedrock';
import { foundry } from './foundry';
import { mantle } from './mantle';
import type { Upstream } from './upstream';
import { vertex } from './vertex';

const UPSTREAMS: Readonly<Record<AccountKind, Upstream>> = {
  anthropic,
  'anthropic-compatible': anthropic,
  aws,
  bedrock,
  'bedrock-mantle': mantle,
  vertex,
  foundry,
};

/** The room of `kind`. */
export function upstreamOf(kind: AccountKind): Upstream {
  return UPSTREAMS[kind];
}
