// What a vendor's room answers: where a call goes, with which credential and in which form, and how
// its answer becomes one of the client's protocol again. It decides nothing about other accounts.

import type { Result } from '../domain/result';
import type { SnapshotAccount } from '../domain/snapshot';
import type { Config } from '../platform/env';
import type { Credential } from '../platform/seal';

/** What clients ask of the Messages API's hosts. */
export type UpstreamOperation = 'messages' | 'count_tokens' | 'models' | 'model';

/** A request's body; rooms that must change something change these bytes and no others. */
export interface CallBody {
  /** As it came, encoded if it was. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same, unpacked. */
  readonly plain: Uint8Array;
  readonly isStream: boolean;
}

export interface UpstreamCall {
  readonly operation: UpstreamOperation;
  readonly method: string;
  /** Path of the protocol, e.g. `/v1/messages`. */
  readonly path: string;
  /** The client's query with its `?`, or empty. */
  readonly search: string;
  /** The client's headers as they came. */
  readonly headers: Headers;
  readonly body: CallBody | null;
  /** The catalogue's id of the model; null where the request names none. */
  readonly model: string | null;
  /** As the client wrote the model; null where it wrote none. */
  readonly askedModel: string | null;
  /** Unix ms. */
  readonly now: number;
  readonly environment: Config['environment'];
  /** Ends what a room itself asks for: tokens. */
  readonly signal: AbortSignal;
}

export interface PreparedCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer> | null;
}

/** Why nothing could be sent: the credential is not one, or the host that gives tokens failed. */
export interface PrepareFailure {
  readonly why: 'credential' | 'token-refused' | 'token-unreachable' | 'request';
  /** For the log and for admins; holds no secret. */
  readonly detail: string;
}

export interface Upstream {
  /** What this kind can answer itself. */
  readonly operations: ReadonlySet<UpstreamOperation>;
  /** Address, headers and bytes of `call` at `account`. Awaits only what it has not at hand. */
  prepare(
    account: SnapshotAccount,
    credential: Credential,
    call: UpstreamCall,
  ): Promise<Result<PreparedCall, PrepareFailure>>;
  /** The answer in the client's protocol: framing undone, refusals in its envelope. */
  translate(response: Response, call: UpstreamCall): Response | Promise<Response>;
}
