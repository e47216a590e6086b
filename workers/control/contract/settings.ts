// What an admin may set: each name with what it takes, what it is while nobody has set it, and what
// it does. Stored as JSON in the table `settings` (store/settings.ts knows the names).

import * as z from 'zod/mini';
import { endpoint, reads, writes } from './endpoint';
import { instant } from './fields';
import { REGIONS } from '../../domain/region';
import {
  COUNTRY_LIST_WORDS,
  HEADER_TIMEOUTS_WORDS,
  isCountryList,
  isHeaderTimeouts,
  RELAY_SETTINGS_DEFAULT,
} from '../../domain/relay-settings';
import type { RelaySettings } from '../../domain/snapshot';

/** How people get in who are not there yet. */
const registration = z.enum(['open', 'invite', 'closed']);

export const SETTINGS = {
  registration: {
    schema: registration,
    default: 'invite',
    summary: 'Who may register: anyone, whoever has an invitation, or nobody.',
  },
  egress_countries: {
    schema: z.custom<RelaySettings['egressCountries']>(isCountryList, COUNTRY_LIST_WORDS),
    default: RELAY_SETTINGS_DEFAULT.egressCountries,
    summary:
      'Whose requests may leave from another region when a provider refuses the place they came ' +
      'to: countries that the provider serves, such as ["US","DE"]. None: off.',
  },
  egress_region: {
    schema: z.enum(REGIONS),
    default: RELAY_SETTINGS_DEFAULT.egressRegion,
    summary: 'Where such requests leave from.',
  },
  header_timeouts: {
    schema: z.custom<RelaySettings['headerTimeoutMs']>(isHeaderTimeouts, HEADER_TIMEOUTS_WORDS),
    default: RELAY_SETTINGS_DEFAULT.headerTimeoutMs,
    summary: 'Milliseconds that a stream may be without headers, by model; others: 30 s.',
  },
} as const;

export type AdminSetting = keyof typeof SETTINGS;
export type SettingValue<N extends AdminSetting> = z.infer<(typeof SETTINGS)[N]['schema']>;

const setting = z.strictObject({
  name: z.string(),
  value: z.unknown(),
  default: z.unknown(),
  summary: z.string(),
  /** When it was set last, Unix ms or a little above; null: it never was. */
  version: z.nullable(instant),
});

export const settings = {
  list: endpoint({
    name: 'admin.settings.list',
    method: 'GET',
    path: '/admin/settings',
    access: reads('settings'),
    summary: 'Lists what can be set, what it is and what it is by default.',
    answer: z.strictObject({ items: z.array(setting) }),
  }),
  set: endpoint({
    name: 'admin.settings.set',
    method: 'PUT',
    path: '/admin/settings/{name}',
    access: writes('settings'),
    summary: 'Sets one of them.',
    body: z.strictObject({ value: z.unknown() }),
    answer: z.strictObject({ name: z.string(), value: z.unknown() }),
  }),
} as const;
