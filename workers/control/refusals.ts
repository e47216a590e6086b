// What the control plane refuses in its own words. A code is stable and machine-readable, a message
// is safe to show. What the relay refuses too (not-found, conflict, busy, ...) is a RelayError.

/** Every code, its status and what people read. docs/errors.md is compared with it by a test. */
export const REFUSALS = {
  'not-valid': { status: 400, message: 'The request is not valid; `fields` says where.' },
  'sign-in-needed': { status: 401, message: 'Log in first.' },
  'session-ended': { status: 401, message: 'This login has ended. Log in again.' },
  'login-wrong': { status: 401, message: 'E-mail address or password is wrong.' },
  'password-wrong': { status: 403, message: 'The current password is wrong.' },
  'token-not-valid': { status: 401, message: 'This token is unknown, expired or revoked.' },
  'setup-secret-wrong': {
    status: 401,
    message: 'Send the setup secret as "Authorization: Bearer <SETUP_SECRET>".',
  },
  'role-too-low': { status: 403, message: 'Your role does not allow this.' },
  'scope-missing': { status: 403, message: 'This token does not have the scope for this.' },
  'beyond-own-rights': { status: 403, message: 'This would allow more than you may do yourself.' },
  'origin-not-allowed': {
    status: 403,
    message: 'Requests that change something come from the dashboard itself or without a browser.',
  },
  'registration-closed': { status: 403, message: 'Registration is closed. Ask an admin.' },
  'invite-not-valid': { status: 403, message: 'This invitation is unknown, used, or expired.' },
  'last-admin': { status: 409, message: 'There must be an active admin.' },
  'address-taken': { status: 409, message: 'Another user has this e-mail address.' },
  'code-not-valid': { status: 404, message: 'This code is unknown, used up, or expired.' },
  'code-used': {
    status: 409,
    message: 'You have redeemed this code, or as many of its kind as one may, already.',
  },
  'given-by-environment': {
    status: 409,
    message: 'The environment gives this account: name, address and credential change there.',
  },
  'not-refundable': { status: 409, message: 'Nothing of this request is left to refund.' },
  'no-key': { status: 409, message: 'You have no key that can be used. Make one first.' },
  'key-reused': {
    status: 409,
    message: 'This Idempotency-Key was used for another request in the last 24 hours.',
  },
  'idempotency-key-not-valid': {
    status: 400,
    message: 'Idempotency-Key takes 1 to 200 visible ASCII characters.',
  },
  'too-many-attempts': { status: 429, message: 'Too many attempts. Wait before the next one.' },
  'logins-busy': { status: 503, message: 'Too many logins at once. Try again in a moment.' },
  'viewers-full': { status: 503, message: 'Too many are watching already. Try again later.' },
  'not-configured': { status: 503, message: 'This relay is not set up for this yet.' },
} as const;

export type RefusalCode = keyof typeof REFUSALS;

/** A refusal on its way to the answer. */
export interface Refused {
  readonly code: RefusalCode;
  /** In place of the table's, where more can be said. */
  readonly message?: string;
  /** What is wrong, by field: `limits.requests[0].spanMs`. */
  readonly fields?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
}

/** A refused result, for handlers: `return refused('code-used')`. */
export function refused(
  code: RefusalCode,
  details: Omit<Refused, 'code'> = {},
): { readonly ok: false; readonly error: Refused } {
  return { ok: false, error: { code, ...details } };
}
