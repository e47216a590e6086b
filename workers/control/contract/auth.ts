// Logging in and what belongs to it: registering, staying logged in, one's own data, one's logins.
// A login answers with cookies, or, for `transport: bearer`, with tokens in the body and no cookie.

import * as z from 'zod/mini';
import { ANYONE, endpoint, PERSON, ROLES } from './endpoint';
import { email, id, instant, label, pageOf, paging, password, timeZone } from './fields';

/** Cookies are for browsers, tokens in the body for programs. */
const transport = z.optional(z.enum(['cookie', 'bearer']));
/** As somebody types it at a login: what no password can be is simply wrong. */
const typedPassword = z.string().check(z.maxLength(256));
const refreshToken = z.string().check(z.maxLength(300));

const user = z.strictObject({
  id: id('user'),
  email: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  /** IANA name. */
  timeZone: z.string(),
  walletId: id('wallet'),
  region: z.string(),
});

const loggedIn = z.strictObject({
  user,
  sessionId: id('session'),
  /** Unix ms; refresh before. */
  accessExpiresAt: instant,
  /** Unix ms; each refresh moves it on. */
  sessionExpiresAt: instant,
  /** Of `transport: bearer`; null: they are cookies. */
  tokens: z.nullable(z.strictObject({ access: z.string(), refresh: z.string() })),
});
export type LoggedIn = z.infer<typeof loggedIn>;

const session = z.strictObject({
  id: id('session'),
  /** Whether it is the one that asks. */
  current: z.boolean(),
  createdAt: instant,
  /** Unix ms of the last refresh. */
  lastUsedAt: instant,
  expiresAt: instant,
  userAgent: z.string(),
  address: z.string(),
});

/** A token in the body belongs to `bearer`; without one it is the cookie's. */
const refresh = z.strictObject({ transport, refreshToken: z.optional(refreshToken) }).check(
  z.refine((body) => (body.refreshToken !== undefined) === (body.transport === 'bearer'), {
    error: 'goes with `transport: bearer`',
    path: ['refreshToken'],
  }),
);

const changeMe = z
  .strictObject({ name: z.optional(label), timeZone: z.optional(timeZone) })
  .check(z.refine((body) => Object.keys(body).length > 0, { error: 'name something to change' }));

export const auth = {
  register: endpoint({
    name: 'auth.register',
    method: 'POST',
    path: '/api/auth/register',
    access: ANYONE,
    summary: 'Makes a user with a wallet and logs in; by default only with an invitation.',
    body: z.strictObject({
      email,
      password,
      name: label,
      timeZone: z.optional(timeZone),
      invite: z.optional(z.string().check(z.maxLength(100))),
      transport,
    }),
    answer: loggedIn,
    status: 201,
  }),
  login: endpoint({
    name: 'auth.login',
    method: 'POST',
    path: '/api/auth/login',
    access: ANYONE,
    summary: 'Logs in with e-mail address and password.',
    body: z.strictObject({ email, password: typedPassword, transport }),
    answer: loggedIn,
  }),
  refresh: endpoint({
    name: 'auth.refresh',
    method: 'POST',
    path: '/api/auth/refresh',
    access: ANYONE,
    summary: 'Gives new tokens for the refresh token, which is used up by it.',
    body: refresh,
    answer: loggedIn,
  }),
  logout: endpoint({
    name: 'auth.logout',
    method: 'POST',
    path: '/api/auth/logout',
    access: ANYONE,
    summary: 'Ends this login and clears its cookies; the same answer for whoever has none.',
    body: z.strictObject({ refreshToken: z.optional(refreshToken) }),
    status: 204,
  }),
  logoutAll: endpoint({
    name: 'auth.logout-all',
    method: 'POST',
    path: '/api/auth/logout-all',
    access: PERSON,
    summary: 'Ends all of your logins, this one too.',
    status: 204,
  }),
  changePassword: endpoint({
    name: 'auth.change-password',
    method: 'POST',
    path: '/api/auth/change-password',
    access: PERSON,
    summary: 'Sets a new password and ends all of your logins; this one goes on as a new one.',
    body: z.strictObject({
      currentPassword: typedPassword,
      newPassword: password,
      /** Absent: as the call itself came. */
      transport,
    }),
    answer: loggedIn,
  }),
  me: endpoint({
    name: 'auth.me',
    method: 'GET',
    path: '/api/auth/me',
    access: PERSON,
    summary: 'Says who you are.',
    answer: z.strictObject({ user, sessionId: id('session') }),
  }),
  changeMe: endpoint({
    name: 'auth.change-me',
    method: 'PATCH',
    path: '/api/auth/me',
    access: PERSON,
    summary: 'Changes your name or time zone.',
    body: changeMe,
    answer: z.strictObject({ user, sessionId: id('session') }),
  }),
  sessions: endpoint({
    name: 'auth.sessions',
    method: 'GET',
    path: '/api/auth/sessions',
    access: PERSON,
    summary: 'Lists where you are logged in, the latest login first.',
    query: z.strictObject(paging),
    answer: pageOf(session),
  }),
  endSession: endpoint({
    name: 'auth.end-session',
    method: 'DELETE',
    path: '/api/auth/sessions/{id}',
    access: PERSON,
    summary: 'Ends one of your logins.',
    status: 204,
  }),
} as const;
