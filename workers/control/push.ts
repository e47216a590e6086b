// The push that follows a change: so that the very next request knows. What fails here, the cron
// delivers (jobs/outbox.ts).

import type { WalletId } from '../domain/ids';
import { causeOf, log } from '../observe/log';
import { deliver, waitingFor, waitingForPool } from '../store/outbox';

export interface PushTo {
  readonly wallets?: readonly WalletId[];
  readonly pool?: boolean;
}

/** Delivers what waits for these objects; never throws. */
export async function pushNow(env: Env, { wallets = [], pool = false }: PushTo): Promise<void> {
  if (wallets.length === 0 && !pool) return;
  try {
    const rows = [
      ...(wallets.length === 0 ? [] : await waitingFor(env.DB, wallets)),
      ...(pool ? await waitingForPool(env.DB) : []),
    ];
    const { failures } = await deliver(env, rows);
    for (const { ids, error } of failures) log('push-failed', { rows: ids, error: causeOf(error) });
  } catch (error) {
    log('push-failed', { rows: [], error: causeOf(error) });
  }
}
