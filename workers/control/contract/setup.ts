// What the setup door is told and what it answers; the start and deploy scripts speak it.

import * as z from 'zod/mini';

/** Made by the caller; the same again, until confirmed, finds the same people. */
const setupId = z.string().check(z.regex(/^[A-Za-z0-9_-]{8,64}$/));

const person = z.strictObject({
  email: z.email().check(z.maxLength(254)),
  password: z.string().check(z.minLength(12), z.maxLength(256)),
});

/** Body of `POST /admin/setup`. */
export const setupRequest = z.strictObject({ setupId, admin: person, user: person }).check(
  z.refine(({ admin, user }) => admin.email.toLowerCase() !== user.email.toLowerCase(), {
    error: 'admin and user need two addresses',
    path: ['user', 'email'],
  }),
);
export type SetupRequest = z.infer<typeof setupRequest>;

/** Its answer. The key is shown here and never again. */
export interface SetupAnswer {
  readonly key: string;
  readonly adminId: string;
  readonly userId: string;
  /** Base URL of the relay, as the caller reached it. */
  readonly relay: string;
}

/** Body of `POST /admin/setup/confirm`: the credentials are safe, shut the door. */
export const confirmRequest = z.strictObject({ setupId });

/** Its answer. */
export interface ConfirmAnswer {
  readonly confirmed: true;
}
