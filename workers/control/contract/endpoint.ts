// What an endpoint of the control plane is: one record that the router, the guard of every route,
// the page of the API and the dashboard all read. It holds no handler.

import type * as z from 'zod/mini';

export const ROLES = ['admin', 'user', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

/** What a service token may be allowed: `<read|write>:<area>`; writing includes reading. */
export const AREAS = [
  'users',
  'keys',
  'credits',
  'codes',
  'accounts',
  'prices',
  'settings',
  'usage',
  'requests',
  'audit',
  'invites',
  'tokens',
] as const;
export type Area = (typeof AREAS)[number];
export type Scope = `${'read' | 'write'}:${Area}`;

/**
 * Who may call.
 * - `anyone`: nobody need be known.
 * - `person`: whoever is logged in; `writes`: not viewers, who only look.
 * - `staff`: an admin; where nothing is written a viewer too; or a service token with the scope.
 * - `admin`: an admin in person, no token.
 * - `secret`: whoever knows this word of the environment.
 */
export type Access =
  | { readonly by: 'anyone' }
  | { readonly by: 'person'; readonly writes: boolean }
  | { readonly by: 'staff'; readonly area: Area; readonly writes: boolean }
  | { readonly by: 'admin' }
  | { readonly by: 'secret'; readonly secret: 'setup' | 'metrics' };

export interface Endpoint {
  /** Unique; the operation's id in the API's page and the action in the audit: `tokens.create`. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With parameters in braces: `/api/tokens/{id}`. */
  readonly path: string;
  readonly access: Access;
  /** One sentence for the API's page. */
  readonly summary: string;
  readonly query?: z.ZodMiniType;
  readonly body?: z.ZodMiniType;
  /** Of a success in JSON; absent: no body, or another format that `produces` names. */
  readonly answer?: z.ZodMiniType;
  /** Status of a success; 200 when absent. */
  readonly status?: 200 | 201 | 202 | 204;
  /** Creates or moves money: takes an `Idempotency-Key`. */
  readonly idempotent?: true;
  /** Other content types of a success, such as `text/csv`. */
  readonly produces?: readonly string[];
}

/** Keeps an endpoint's own types, so that its handler is checked against them. */
export function endpoint<const E extends Endpoint>(given: E): E {
  return given;
}

export const ANYONE = { by: 'anyone' } as const satisfies Access;
export const PERSON = { by: 'person', writes: false } as const satisfies Access;
export const PERSON_WRITES = { by: 'person', writes: true } as const satisfies Access;
export const ADMIN = { by: 'admin' } as const satisfies Access;

/** An admin, a viewer, or a token that may read `area`. */
export function reads<A extends Area>(area: A) {
  return { by: 'staff', area, writes: false } as const satisfies Access;
}

/** An admin, or a token that may write `area`. */
export function writes<A extends Area>(area: A) {
  return { by: 'staff', area, writes: true } as const satisfies Access;
}
