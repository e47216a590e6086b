// What an admin may set: each name with what it takes, what it is while nobody has set it, and what
// it does. Stored as JSON in the table `settings` (store/settings.ts knows the names).

import * as z from 'zod/mini';

/** How people get in who are not there yet. */
const registration = z.enum(['open', 'invite', 'closed']);

export const SETTINGS = {
  registration: {
    schema: registration,
    default: 'invite',
    summary: 'Who may register: anyone, whoever has an invitation, or nobody.',
  },
} as const;

export type AdminSetting = keyof typeof SETTINGS;
export type SettingValue<N extends AdminSetting> = z.infer<(typeof SETTINGS)[N]['schema']>;
