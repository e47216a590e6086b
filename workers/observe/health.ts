// Whether the relay's three pillars answer. Public: it says `ok` or `failed`, never why.

import type { WalletId } from '../domain/ids';
import { SECOND_MS } from '../domain/time';
import { withinMs } from '../platform/clock';
import { ledgerOf, poolOf } from '../platform/objects';
import { log } from './log';

type Check = 'ok' | 'failed';

export interface Health {
  readonly status: Check;
  readonly version: string;
  readonly checks: { readonly database: Check; readonly ledger: Check; readonly pool: Check };
}

/** An object that belongs to no wallet: asked only whether objects answer. */
const PROBE_WALLET: WalletId = 'wal_health';
const KEPT_MS = 2 * SECOND_MS;
const CHECK_MS_MAX = 3 * SECOND_MS;
/** The released version: package.json's, kept equal by a test. */
export const VERSION = '0.1.0';

let latest: { readonly health: Health; readonly at: number } | null = null;

/** The state of database, ledger and pool; at most one round of checks in two seconds. */
export async function checkHealth(env: Env): Promise<Health> {
  const now = Date.now();
  if (latest !== null && now - latest.at < KEPT_MS) return latest.health;
  const [database, ledger, pool] = await Promise.all([
    check('database', async () => (await env.DB.prepare('SELECT 1').run()).success),
    check('ledger', async () => (await ledgerOf(env, PROBE_WALLET, 'weur').ping()) === 'ok'),
    check('pool', async () => (await poolOf(env).ping()) === 'ok'),
  ]);
  const checks = { database, ledger, pool };
  const status = Object.values(checks).every((state) => state === 'ok') ? 'ok' : 'failed';
  const health = { status, version: VERSION, checks } as const;
  latest = { health, at: now };
  return health;
}

async function check(name: string, ask: () => Promise<boolean>): Promise<Check> {
  try {
    if ((await withinMs(ask(), CHECK_MS_MAX)) === true) return 'ok';
    log('health-failed', { check: name });
  } catch (error) {
    log('health-failed', { check: name, error: String(error) });
  }
  return 'failed';
}
