// Which accounts the cron calls to see whether they are back, and for which model: those that are
// out, and those whose breaker is half open, which without traffic nobody else would ask.

import type { PriceRow } from '../pricing/catalogue';
import type { SnapshotAccount } from '../snapshot';
import { providerOf } from '../snapshot';
import type { Mark, PermitKind, Subject } from './calls';
import { subjectName } from './calls';
import { isInForce } from './state';

export interface DueProbe {
  readonly account: SnapshotAccount;
  readonly model: string;
  /** Of the model; an unknown model is a family of its own. */
  readonly family: string;
  readonly kind: PermitKind;
  /** All that holds this call back. */
  readonly subjects: readonly Subject[];
}

/** What the probes are chosen from. */
export interface ProbeSource {
  readonly accounts: readonly SnapshotAccount[];
  readonly marks: readonly Mark[];
  /** Prices in force, one a model. */
  readonly prices: readonly PriceRow[];
  /** Unix ms. */
  readonly now: number;
}

/** Each account and model at most once; what is cooling down is left alone. */
export function dueProbes(source: ProbeSource): readonly DueProbe[] {
  const { accounts, marks, now } = source;
  const held = new Map(marks.map((mark) => [subjectName(mark.subject), mark]));
  const found = new Map<string, DueProbe>();
  for (const { subject } of marks.filter((mark) => isDue(mark, now))) {
    const probes = accounts
      .filter((account) => account.status !== 'disabled' && isMeant(subject, account))
      .flatMap((account) => probeOf(account, subject, { source, held }));
    // For everybody's overload one account is enough, best one that nothing else holds back.
    const chosen = subject.of === 'provider' ? leastHeld(probes) : probes;
    for (const probe of chosen) found.set(`${probe.account.id} ${probe.model}`, probe);
  }
  return [...found.values()];
}

function isDue({ state, until }: Mark, now: number): boolean {
  if (state === 'out') return until === null || now < until;
  return state === 'open' && until !== null && now >= until;
}

function isMeant(subject: Subject, account: SnapshotAccount): boolean {
  return subject.of === 'provider'
    ? subject.provider === providerOf(account)
    : subject.accountId === account.id;
}

function probeOf(
  account: SnapshotAccount,
  subject: Subject,
  { source, held }: { readonly source: ProbeSource; readonly held: ReadonlyMap<string, Mark> },
): readonly DueProbe[] {
  const { prices, now } = source;
  const model = modelOf(account, subject, prices);
  if (model === null) return [];
  const family = prices.find((row) => row.model === model)?.family ?? model;
  const { id: accountId } = account;
  const all: readonly Subject[] = [
    { of: 'account', accountId },
    { of: 'family', accountId, family },
    { of: 'model', accountId, model },
    { of: 'provider', provider: providerOf(account), model },
  ];
  const marks = all.flatMap((one) => held.get(subjectName(one)) ?? []).filter(holds(now));
  if (marks.some(({ state }) => state === 'cooling')) return [];
  const isShut = marks.some((mark) => mark.state === 'out' || isInForce(mark, now));
  const kind = isShut ? 'last-resort' : 'probe';
  return [{ account, model, family, kind, subjects: marks.map((mark) => mark.subject) }];
}

function holds(now: number): (mark: Mark) => boolean {
  return (mark) => mark.state === 'open' || isInForce(mark, now);
}

/** The cheapest that the account serves and the subject is about; null: there is none. */
function modelOf(
  { models }: SnapshotAccount,
  subject: Subject,
  prices: readonly PriceRow[],
): string | null {
  const isServed = (model: string): boolean => models === null || models.includes(model);
  if (subject.of === 'model' || subject.of === 'provider') {
    return isServed(subject.model) ? subject.model : null;
  }
  const rows = prices.filter(
    ({ model, family }) =>
      isServed(model) && (subject.of !== 'family' || subject.family === family),
  );
  const [cheapest] = rows.toSorted((one, other) => one.bands[0].output - other.bands[0].output);
  if (cheapest !== undefined) return cheapest.model;
  // A family without a price is a model that nobody has priced.
  return subject.of === 'family' ? subject.family : (models?.[0] ?? null);
}

function leastHeld(probes: readonly DueProbe[]): readonly DueProbe[] {
  return probes.toSorted((one, other) => one.subjects.length - other.subjects.length).slice(0, 1);
}
