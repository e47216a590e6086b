// What the cron does each minute: finishes what a crash or a lost call has left, and asks accounts
// that are out whether they are back. Jobs do not know of each other; one that fails is logged and
// runs again in a minute.

import { log } from '../observe/log';
import { poolOf } from '../platform/objects';
import { pruneAnswers } from '../store/idempotency';
import { replayLateSettles } from '../store/late-settles';
import { deliverStale } from '../store/outbox';
import { pruneRequests } from '../store/requests';
import { snapshotVersion } from '../store/snapshot';
import { sumUsage } from '../store/usage-sums';
import { forgetDeleted } from '../store/user-changes';
import { probeAccounts } from './probe';
import { correctSpend } from './spend';

/** One line of the log; see observe/log.ts. */
type Report = (event: string, fields: Readonly<Record<string, string | number>>) => void;

interface Job {
  readonly name: string;
  readonly run: (env: Env, tick: Tick) => Promise<void>;
}

interface Tick {
  /** Unix ms. */
  readonly now: number;
  readonly report: Report;
}

const JOBS: readonly Job[] = [
  { name: 'outbox', run: pushOutbox },
  { name: 'late-settles', run: settleLate },
  { name: 'snapshot', run: comparePool },
  { name: 'account-probes', run: probe },
  { name: 'account-spend', run: correct },
  { name: 'request-log', run: pruneLog },
  { name: 'usage-sums', run: sumUp },
  { name: 'deleted-users', run: forgetUsers },
  { name: 'kept-answers', run: pruneKept },
];

/** Runs every job, side by side; never throws. `now` in Unix ms; failures go to `report`. */
export async function scheduled(env: Env, now: number, report: Report = log): Promise<void> {
  const tick = { now, report };
  await Promise.all(
    JOBS.map(async ({ name, run }) => {
      try {
        await run(env, tick);
      } catch (error) {
        report('job-failed', { job: name, error: String(error) });
      }
    }),
  );
}

async function pushOutbox(env: Env, { now, report }: Tick): Promise<void> {
  const { delivered, failures } = await deliverStale(env, now);
  for (const { ids, error } of failures) {
    report('push-failed', { rows: ids.join(' '), error: String(error) });
  }
  if (delivered > 0) report('pushed-late', { rows: delivered });
}

async function settleLate(env: Env, { report }: Tick): Promise<void> {
  const { replayed, failures } = await replayLateSettles(env);
  for (const { id, error } of failures) {
    report('late-settle-failed', { request: id, error: String(error) });
  }
  if (replayed > 0) report('settled-late', { requests: replayed });
}

/** A push that Pool missed is made good within a minute. */
async function comparePool(env: Env): Promise<void> {
  await poolOf(env).refresh(await snapshotVersion(env.DB));
}

async function probe(env: Env, { now }: Tick): Promise<void> {
  await probeAccounts(env, now);
}

async function correct(env: Env, { now }: Tick): Promise<void> {
  await correctSpend(env, now);
}

async function pruneLog(env: Env, { now }: Tick): Promise<void> {
  await pruneRequests(env.DB, now);
}

async function sumUp(env: Env, { now }: Tick): Promise<void> {
  await sumUsage(env.DB, now);
}

async function forgetUsers(env: Env, { now }: Tick): Promise<void> {
  await forgetDeleted(env.DB, now);
}

async function pruneKept(env: Env, { now }: Tick): Promise<void> {
  await pruneAnswers(env.DB, now);
}
