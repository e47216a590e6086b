// Every endpoint of the control plane, in the groups and the order in which people read them. What
// describes the API is built from it; a test compares it with this folder and with the routes.

import { accountDays } from './account-days';
import { accounts } from './accounts';
import { audit } from './audit';
import { auth } from './auth';
import { codes } from './codes';
import { adminCredits, credits } from './credits';
import { docs } from './docs';
import type { Endpoint } from './endpoint';
import { invites } from './invites';
import { live } from './live';
import { metrics } from './metrics';
import { playground } from './playground';
import { prices } from './prices';
import { relay } from './relay';
import { adminRequests } from './requests';
import { serviceTokens } from './service-tokens';
import { settings } from './settings';
import { setup } from './setup';
import { adminKeys, tokens } from './tokens';
import { adminUsage } from './usage';
import { users } from './users';

export interface Group {
  readonly title: string;
  readonly summary: string;
  readonly endpoints: Readonly<Record<string, Endpoint>>;
}

export const GROUPS: readonly Group[] = [
  { title: 'Login', summary: 'Getting in, staying in, leaving.', endpoints: auth },
  { title: 'API keys', summary: 'Your own keys for the relay.', endpoints: tokens },
  { title: 'Credit', summary: 'Your own money.', endpoints: credits },
  { title: 'Usage', summary: 'Models, your usage, your requests.', endpoints: relay },
  { title: 'Playground', summary: 'Asking a model while logged in.', endpoints: playground },
  { title: 'Users', summary: 'Everybody, for admins.', endpoints: users },
  { title: 'Keys of users', summary: 'Everybody’s keys, for admins.', endpoints: adminKeys },
  { title: 'Credit of users', summary: 'Everybody’s money, for admins.', endpoints: adminCredits },
  { title: 'Codes', summary: 'Codes that are worth money.', endpoints: codes },
  { title: 'Accounts', summary: 'What the relay calls upstream with.', endpoints: accounts },
  { title: 'Days of accounts', summary: 'What they did and cost.', endpoints: accountDays },
  { title: 'Prices', summary: 'What models cost, and when.', endpoints: prices },
  { title: 'Usage of users', summary: 'Sums over everybody.', endpoints: adminUsage },
  { title: 'Requests of users', summary: 'The log of all requests.', endpoints: adminRequests },
  { title: 'Live', summary: 'Watching requests as they run.', endpoints: live },
  { title: 'Invitations', summary: 'Who may register.', endpoints: invites },
  { title: 'Service tokens', summary: 'What programs log in with.', endpoints: serviceTokens },
  { title: 'Settings', summary: 'What an admin may set.', endpoints: settings },
  { title: 'Audit', summary: 'Who changed what.', endpoints: audit },
  { title: 'Metrics', summary: 'Figures for monitoring.', endpoints: metrics },
  { title: 'Setup', summary: 'The first admin, once.', endpoints: setup },
  { title: 'Description', summary: 'This description.', endpoints: docs },
];
