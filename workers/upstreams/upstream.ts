// What a vendor's room answers: where a call goes and with which credential. The body is not its
// business as long as both sides speak one protocol.

import type { SnapshotAccount } from '../domain/snapshot';

export interface UpstreamCall {
  /** Path of the protocol, e.g. `/v1/messages`. */
  readonly path: string;
  /** The client's query with its `?`, or empty. */
  readonly search: string;
  /** The client's headers as they came. */
  readonly headers: Headers;
}

export interface PreparedCall {
  readonly url: string;
  readonly headers: Headers;
}

export interface Upstream {
  /** Address and headers of `call` at `account`; `secret` is its unsealed credential. */
  prepare(account: SnapshotAccount, secret: string, call: UpstreamCall): PreparedCall;
}
