// What the setup door is told and what it answers; the start and deploy scripts speak it.

import * as z from 'zod/mini';
import { endpoint } from './endpoint';

/** Made by the caller; the same again, until confirmed, finds the same people. */
const setupId = z.string().check(z.regex(/^[A-Za-z0-9_-]{8,64}$/));

const person = z.strictObject({
  email: z.email().check(z.maxLength(254)),
  password: z.string().check(z.minLength(12), z.maxLength(256)),
});

const setupRequest = z.strictObject({ setupId, admin: person, user: person }).check(
  z.refine(({ admin, user }) => admin.email.toLowerCase() !== user.email.toLowerCase(), {
    error: 'admin and user need two addresses',
    path: ['user', 'email'],
  }),
);
export type SetupRequest = z.infer<typeof setupRequest>;

const setupAnswer = z.strictObject({
  /** Shown here and never again. */
  key: z.string(),
  adminId: z.string(),
  userId: z.string(),
  /** Base URL of the relay, as the caller reached it. */
  relay: z.string(),
});
export type SetupAnswer = z.infer<typeof setupAnswer>;

export const setup = {
  open: endpoint({
    name: 'setup.open',
    method: 'POST',
    path: '/admin/setup',
    access: { by: 'secret', secret: 'setup' },
    summary: 'Makes the first admin, a user with credit and a key; only while there is no admin.',
    body: setupRequest,
    answer: setupAnswer,
  }),
  confirm: endpoint({
    name: 'setup.confirm',
    method: 'POST',
    path: '/admin/setup/confirm',
    access: { by: 'secret', secret: 'setup' },
    summary: 'Says that the credentials are safe: shuts the setup door for good.',
    body: z.strictObject({ setupId }),
    answer: z.strictObject({ confirmed: z.literal(true) }),
  }),
} as const;
