// What a handler of the control plane is given, and what it gives back.

import type * as z from 'zod/mini';
import type { RelayError } from '../domain/errors';
import type { KeyId, RequestId, ServiceTokenId, SessionId, UserId, WalletId } from '../domain/ids';
import type { Region } from '../domain/region';
import type { Result } from '../domain/result';
import type { Config } from '../platform/env';
import type { Access, Endpoint, Role, Scope } from './contract/endpoint';
import type { Refused } from './refusals';
import type { Repeatable } from '../store/idempotency';

/** Somebody who is logged in; everything of the row as it is now. */
export interface Person {
  readonly kind: 'person';
  readonly id: UserId;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly timeZone: string;
  readonly walletId: WalletId;
  readonly region: Region;
  readonly sessionId: SessionId;
}

/** A program with a service token. */
export interface Service {
  readonly kind: 'service';
  readonly id: ServiceTokenId;
  readonly name: string;
  readonly scopes: readonly Scope[];
}

export type Actor = Person | Service;

/** A Messages request of somebody who is logged in, and the key of theirs that pays for it. */
export interface Granted {
  readonly request: Request;
  readonly requestId: RequestId;
  readonly keyId: KeyId;
  readonly walletId: WalletId;
  /** Of the wallet. */
  readonly region: Region;
}

/** The data plane's door for people; app.ts hands it in. */
export type DataPlane = (granted: Granted, env: Env, ctx: Call['ctx']) => Promise<Response>;

/** What is known of every call. */
export interface Call {
  readonly request: Request;
  readonly url: URL;
  readonly env: Env;
  readonly config: Config;
  readonly ctx: Pick<ExecutionContext, 'waitUntil'>;
  readonly requestId: RequestId;
  /** The client's address; empty when the platform names none. */
  readonly address: string;
  /** Unix ms. */
  readonly now: number;
  /** Absent: this plane runs alone. */
  readonly dataPlane?: DataPlane;
}

/** Of several endpoints: any of their actors. */
type ActorOf<A extends Access> = A extends { readonly by: 'person' | 'admin' }
  ? Person
  : A extends { readonly by: 'staff' }
    ? Actor
    : null;

/** One call of the endpoint `E`, read and checked. */
export interface Visit<E extends Endpoint> extends Call {
  readonly endpoint: E;
  readonly actor: ActorOf<E['access']>;
  /** The caller's Idempotency-Key, bound to this call; null: none. */
  readonly repeatable: Repeatable | null;
  /** By the names in the endpoint's path. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: E['query'] extends z.ZodMiniType ? z.infer<E['query']> : undefined;
  readonly body: E['body'] extends z.ZodMiniType ? z.infer<E['body']> : undefined;
}

/** A visit whose body has been looked at: what several endpoints have in common. */
export type Acting<E extends Endpoint> = Omit<Visit<E>, 'body' | 'query'>;

type AnswerOf<E extends Endpoint> = E['answer'] extends z.ZodMiniType
  ? z.infer<E['answer']>
  : undefined;

/** A success: a body that fits the contract, or a whole response (CSV, sockets). */
export type Reply<E extends Endpoint> =
  | { readonly body: AnswerOf<E>; readonly headers?: Headers; readonly status?: 200 | 201 }
  | Response;

export type Outcome<E extends Endpoint> = Result<Reply<E>, RelayError | Refused>;

export type Handler<E extends Endpoint> = (visit: Visit<E>) => Promise<Outcome<E>>;

/** An endpoint with what answers it. */
export interface Route {
  readonly endpoint: Endpoint;
  readonly handle: (visit: Visit<Endpoint>) => Promise<Outcome<Endpoint>>;
}

/** Binds a handler to its endpoint; the types of both are checked against each other here. */
export function on<E extends Endpoint>(endpoint: E, handle: Handler<E>): Route {
  // `serve` gives every handler a visit that was checked against its own endpoint.
  return { endpoint, handle: handle as unknown as Route['handle'] };
}
