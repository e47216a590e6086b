// Vendor kind → its room. The type makes a missing kind a compile error.

import type { AccountKind } from '../domain/snapshot';
import { anthropic } from './anthropic';
import type { Upstream } from './upstream';

const UPSTREAMS: Readonly<Record<AccountKind, Upstream>> = {
  anthropic,
  'anthropic-compatible': anthropic,
};

/** The room of `kind`. */
export function upstreamOf(kind: AccountKind): Upstream {
  return UPSTREAMS[kind];
}
