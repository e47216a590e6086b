// Logged in at the relay under test, as a program: the access token as bearer.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { LoggedIn } from '../../workers/control/contract/auth';
import { send } from './client';
import type { RelayFacts } from './start-relay';

export interface Login {
  readonly userId: LoggedIn['user']['id'];
  readonly token: string;
  /** Calls the control plane with JSON; throws unless the answer is a success. */
  readonly call: <T>(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
  ) => Promise<T>;
}

/** Logs in the admin of the setup door, whose password lies in the relay's folder. */
export async function logInAdmin(relay: RelayFacts): Promise<Login> {
  const file = join(dirname(relay.logFile), 'credentials.json');
  // Written by the setup of this run.
  const { admin } = JSON.parse(readFileSync(file, 'utf8')) as { admin: object };
  const body = JSON.stringify({ ...admin, transport: 'bearer' });
  return asLogin(await success<LoggedIn>('/api/auth/login', { body }));
}

/** Who came in, by the answer that said so. */
export function asLogin({ user, tokens }: LoggedIn): Login {
  const token = tokens?.access ?? '';
  return {
    userId: user.id,
    token,
    call: (method, path, given) => {
      const text = given === undefined ? {} : { body: JSON.stringify(given) };
      return success(path, { method, key: token, ...text });
    },
  };
}

async function success<T>(path: string, call: Parameters<typeof send>[1]): Promise<T> {
  const { status, text } = await send(path, call);
  if (status >= 300) throw new Error(`${path} answered ${status}: ${text}`);
  // The contract's own words; a deletion has none.
  return JSON.parse(text === '' ? 'null' : text) as T;
}
