// One request with everything that is kept of it, and how its cost adds up, in lines and in words.
// Who may see it was decided before.

import { ownShown } from './shown';
import type { CostTold, RequestDetail } from '../contract/requests';
import type { UserId, WalletId } from '../../domain/ids';
import type { Certainty, Closing } from '../../domain/ledger/calls';
import type { OwnRequestDetail } from '../../domain/ledger/reads';
import { addNanos, ZERO_NANOS } from '../../domain/money';
import type { Catalogue } from '../../domain/pricing/catalogue';
import type { CostLine, CostLines } from '../../domain/pricing/cost-lines';
import { costLines, textOfPicos } from '../../domain/pricing/cost-lines';
import { NO_PICOS } from '../../domain/pricing/price';
import type { SnapshotAccount } from '../../domain/snapshot';

/** Who looks: a user at an own request, or staff at anybody's. */
export type Looking =
  | { readonly as: 'user'; readonly userId: UserId }
  | {
      readonly as: 'staff';
      readonly walletId: WalletId;
      readonly userId: UserId;
      readonly accounts: readonly Pick<SnapshotAccount, 'id' | 'name'>[];
    };

/** `catalogue`: for models that served in the place of the one that was asked for. */
export function detailOf(
  request: OwnRequestDetail,
  catalogue: Catalogue,
  looking: Looking,
): RequestDetail {
  const { closing, certainty, hold, first, stoppedBy } = request;
  const isStaff = looking.as === 'staff';
  return {
    ...ownShown(request),
    closingWords: closing === null ? null : CLOSING_WORDS[closing],
    certaintyWords: certainty === null ? null : CERTAINTY_WORDS[certainty],
    opened: openedOf(request),
    attempts: attemptsOf(request, looking),
    movedNanos: request.movedNanos,
    movedFrom: isStaff ? movedFrom(request, looking.accounts) : null,
    accountNanos: isStaff ? request.accountNanos : null,
    cost: costOf(request, catalogue),
    first: first === null ? null : { ...first },
    corrections: request.corrections.map((correction) => ({ ...correction })),
    hold: hold === null ? null : { ...hold },
    overrunNanos: request.overrunNanos,
    stoppedBy: isStaff || stoppedBy === null ? stoppedBy : whoStopped(stoppedBy, looking.userId),
    userId: isStaff ? looking.userId : null,
    walletId: isStaff ? looking.walletId : null,
  };
}

function whoStopped(actor: string, userId: UserId): string {
  return actor === userId ? 'you' : 'admin';
}

function openedOf({ opened }: OwnRequestDetail): RequestDetail['opened'] {
  if (opened === null) return null;
  const { model, price, pricesVersion, sizes, likelyInputNanos } = opened;
  const { stream, maxTokens, textBytes } = sizes;
  const asked = { stream, maxTokens, textBytes };
  return { model, priceId: price.id, pricesVersion, ...asked, likelyInputNanos };
}

function attemptsOf({ attempts }: OwnRequestDetail, looking: Looking): RequestDetail['attempts'] {
  const tried = [...new Set(attempts.map(({ accountId }) => accountId))];
  const nameOf = (accountId: string) => {
    const known =
      looking.as === 'staff' ? looking.accounts.find(({ id }) => id === accountId) : undefined;
    return known?.name ?? `account ${tried.findIndex((id) => id === accountId) + 1}`;
  };
  const isStaff = looking.as === 'staff';
  return attempts.map(({ accountId, status, outcome, durationMs, absorbedNanos = ZERO_NANOS }) => ({
    account: nameOf(accountId),
    accountId: isStaff ? accountId : null,
    status,
    outcome,
    durationMs,
    absorbedNanos: isStaff ? absorbedNanos : null,
  }));
}

/** One that is gone is told by its id. */
function movedFrom(
  { movedFrom: accountId }: OwnRequestDetail,
  accounts: Extract<Looking, { as: 'staff' }>['accounts'],
): string | null {
  return accounts.find(({ id }) => id === accountId)?.name ?? accountId;
}

function costOf(request: OwnRequestDetail, catalogue: Catalogue): CostTold {
  const priced = pricedOf(request, catalogue);
  const basis = basisOf(request, priced);
  return {
    basis,
    words: BASIS_WORDS[basis],
    lines: priced.lines.map(lineOf),
    picos: textOfPicos(priced.picos),
    pricedNanos: priced.costNanos,
    likelyInputNanos:
      basis === 'likely-input' ? (request.opened?.likelyInputNanos ?? ZERO_NANOS) : ZERO_NANOS,
  };
}

/** The asked model by exactly the numbers of its lease; others as the snapshot has them. */
function pricedOf(
  { usage, opened, admittedAt }: OwnRequestDetail,
  catalogue: Catalogue,
): Omit<CostLines, 'flags'> {
  if (usage === null || opened === null) {
    return { lines: [], picos: NO_PICOS, costNanos: ZERO_NANOS };
  }
  return costLines(usage, { asked: opened.price, catalogue, at: admittedAt });
}

function basisOf(
  { closing, costNanos, certainty, opened }: OwnRequestDetail,
  priced: Pick<CostLines, 'costNanos'>,
): CostTold['basis'] {
  if (closing === null) return 'running';
  if (certainty === 'recovered') return costNanos === 0 ? 'nothing' : 'last-report';
  if (costNanos === priced.costNanos) return costNanos === 0 ? 'nothing' : 'priced';
  const likely = addNanos(priced.costNanos, opened?.likelyInputNanos ?? ZERO_NANOS);
  return certainty === 'estimated' && costNanos === likely ? 'likely-input' : 'other-prices';
}

function lineOf(line: CostLine): CostTold['lines'][number] {
  const { model, priceId, kind, count, unitPicos, promptAbove, factors, picos } = line;
  return {
    model,
    priceId,
    kind,
    count,
    // Pico-dollars each, times a million, in nano-dollars.
    perMillionNanos: unitPicos * 1_000,
    promptAbove,
    factors: factors.map(({ term, value, factor: [numerator, denominator] }) => {
      return { term, value, numerator, denominator };
    }),
    picos: textOfPicos(picos),
  };
}

const BASIS_WORDS = {
  running: 'It runs; the cost is as of its last sign of life.',
  nothing: 'Nothing is charged for it.',
  priced: 'The cost is the sum of the lines, rounded up once to a whole nano-dollar.',
  'likely-input':
    'What was delivered stands in the lines; the input, which nobody reported, is charged as it ' +
    'most likely was.',
  'last-report': 'Nobody said how it ended; it is charged as it was last reported.',
  'other-prices':
    'The lines show today’s prices; a part was charged by prices that have changed since, or is ' +
    'no longer known by its parts.',
} as const satisfies Record<CostTold['basis'], string>;

const CLOSING_WORDS = {
  completed: 'The answer was whole.',
  'upstream-refused': 'The provider refused it.',
  'upstream-failed': 'The provider failed.',
  'client-left': 'The client left before the end.',
  'cut-by-credit': 'The credit ran out while it ran.',
  'cut-by-limit': 'A limit was reached while it ran.',
  revoked: 'The key or its user was shut out while it ran.',
  stopped: 'Somebody asked that it be ended.',
  void: 'No provider was called.',
  recovered: 'Nobody said how it ended; the Ledger closed it.',
} as const satisfies Record<Closing, string>;

const CERTAINTY_WORDS = {
  reported: 'The cost is certain: the provider reported what was used.',
  estimated: 'The cost is estimated from what was delivered.',
  recovered: 'The cost is what was known when the request was lost sight of.',
} as const satisfies Record<Certainty, string>;
