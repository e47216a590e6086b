// Health beside the Pool object's other work: takes reports and permits to the rules of
// domain/health, and keeps in one row what must outlive the object's memory. It decides nothing and
// writes nothing for a report that changes no mark.

import type {
  AccountState,
  Health,
  PermitAnswer,
  PermitCall,
  Report,
  ReportAnswer,
  ResetCall,
  SpendCall,
} from '../domain/health/calls';
import type { KeptHealth } from '../domain/health/kept';
import { healthFromJson, healthToJson } from '../domain/health/kept';
import { resetAccount } from '../domain/health/marks';
import { permit } from '../domain/health/permits';
import { takeReport, takeSums } from '../domain/health/report';
import type { HealthState } from '../domain/health/state';
import { emptyHealth, knowAccounts } from '../domain/health/state';
import { statesOf, versionAt, viewOf } from '../domain/health/view';
import type { SnapshotAccount } from '../domain/snapshot';
import { SECOND_MS } from '../domain/time';
import { log } from '../observe/log';
import { base64url } from '../platform/base64';
import { randomBytes } from '../platform/random';

/** One row; `document` is a KeptHealth. */
export const HEALTH_STEP = `CREATE TABLE health (
    one INTEGER PRIMARY KEY CHECK (one = 1), document TEXT NOT NULL
  ) STRICT`;

/** What is spent is kept no more often: so much of it is lost with the memory. */
const SPEND_EVERY_MS = 10 * SECOND_MS;
const PERMIT_BYTES = 12;

export class HealthDesk {
  readonly #sql: SqlStorage;
  readonly #state: HealthState;
  #accounts: readonly SnapshotAccount[] = [];
  #keptAt: number;
  #isSpendUnkept = false;

  /** The table is there. */
  constructor(sql: SqlStorage, now: number) {
    this.#sql = sql;
    this.#keptAt = now;
    const [row] = sql.exec<{ document: string }>('SELECT document FROM health').toArray();
    // Written by this class alone.
    const kept = row === undefined ? null : (JSON.parse(row.document) as KeptHealth);
    this.#state = kept === null ? emptyHealth(now) : healthFromJson(kept, now);
  }

  /** The accounts of the snapshot that is now in force. */
  know(accounts: readonly SnapshotAccount[]): void {
    const now = Date.now();
    this.#accounts = accounts;
    knowAccounts(this.#state, accounts, now);
    this.#keep(now);
  }

  /** For a caller that knows this version; null: that knows none. */
  answerTo(version: number | null): Health | 'unchanged' {
    const now = Date.now();
    return versionAt(this.#state, now) === version ? 'unchanged' : viewOf(this.#state, now);
  }

  report(report: Report): ReportAnswer {
    const now = Date.now();
    takeReport(this.#state, report, now);
    this.#isSpendUnkept ||= report.tallies.length > 0;
    this.#keep(now);
    return { health: this.answerTo(report.healthVersion) };
  }

  permit(call: PermitCall): PermitAnswer {
    const now = Date.now();
    const answer = permit(this.#state, call, { now, id: base64url(randomBytes(PERMIT_BYTES)) });
    this.#keep(now);
    return answer;
  }

  states(): readonly AccountState[] {
    return statesOf(this.#state, this.#accounts, Date.now());
  }

  reset({ accountId, actor }: ResetCall): void {
    const now = Date.now();
    const account = this.#accounts.find(({ id }) => id === accountId);
    if (account === undefined) return;
    resetAccount(this.#state, account, now);
    this.#keep(now);
    log('account-reset', { account: accountId, actor });
  }

  spentAsOf(call: SpendCall): void {
    const now = Date.now();
    takeSums(this.#state, call, now);
    this.#isSpendUnkept = true;
    this.#keep(now);
  }

  #keep(now: number): void {
    const isDue = this.#isSpendUnkept && Math.abs(now - this.#keptAt) >= SPEND_EVERY_MS;
    if (!this.#state.isUnsaved && !isDue) return;
    this.#sql.exec(
      'INSERT INTO health (one, document) VALUES (1, ?) ' +
        'ON CONFLICT (one) DO UPDATE SET document = excluded.document',
      JSON.stringify(healthToJson(this.#state)),
    );
    this.#state.isUnsaved = false;
    this.#isSpendUnkept = false;
    this.#keptAt = now;
  }
}
