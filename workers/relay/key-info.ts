// What a key's holder may know of it, in words and units that a person can read.

import type { KeyInfo } from '../domain/ledger/calls';
import { formatDollars } from '../domain/money';
import type { Catalogue } from '../domain/pricing/catalogue';
import { usableModels } from './models';

/**
 * The answer of `GET /api/v1/key-info`: money in whole nano-dollars and for people. What the key is
 * not restricted to is null; so is the list of models while the `catalogue` is not known (null).
 */
export function keyInfoDocument(info: KeyInfo, catalogue: Catalogue | null): unknown {
  const { models, clients = null, addresses = null, protocols = null } = info.scope ?? {};
  return {
    type: 'key_info',
    key: {
      id: info.keyId,
      name: info.name,
      status: info.status,
      expires_at: info.expiresAt === null ? null : new Date(info.expiresAt).toISOString(),
      requests: info.requests,
      used_nanos: info.usedNanos,
      used: formatDollars(info.usedNanos),
      overrun_nanos: info.overrunNanos ?? 0,
      clients,
      addresses,
      protocols,
      when_client_leaves: info.whenClientLeaves ?? 'cancel',
    },
    models: catalogue && usableModels(catalogue, models).map(({ model }) => model),
    limits: (info.limits ?? []).map((standing) => ({
      scope: standing.scope,
      kind: standing.kind,
      span_ms: standing.spanMs ?? null,
      period: standing.period ?? null,
      family: standing.family ?? null,
      limit: standing.limit,
      used: standing.used,
      remaining: standing.remaining,
      resets_at: standing.resetsAt === null ? null : new Date(standing.resetsAt).toISOString(),
    })),
    wallet: {
      id: info.walletId,
      currency: 'USD',
      balance_nanos: info.balanceNanos,
      balance: formatDollars(info.balanceNanos),
      held_nanos: info.heldNanos ?? 0,
      available_nanos: info.availableNanos ?? info.balanceNanos,
      open_requests: info.openRequests,
    },
  };
}
