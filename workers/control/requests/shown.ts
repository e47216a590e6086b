// A request as lists show it: one's own from the Ledger, anybody's from the log; and both as files.

import type { LoggedRequest, OwnRequestTold } from '../contract/requests';
import type { Columns } from '../csv';
import type { OwnRequest } from '../../domain/ledger/reads';
import type { LogLine } from '../../store/request-log';

/** A request of the Ledger's; the account is left out: users know none. */
export function ownShown(request: OwnRequest): OwnRequestTold {
  const { requestId, keyId, admittedAt, closedAt, model, closing, certainty, status } = request;
  const { timings, tags } = request;
  return {
    id: requestId,
    keyId,
    admittedAt,
    closedAt,
    model,
    closing,
    certainty,
    status,
    costNanos: request.costNanos,
    heldNanos: request.heldNanos,
    tokens: { ...request.counts },
    flags: [...request.flags],
    admitMs: timings?.admitMs ?? null,
    firstByteMs: timings?.firstByteMs ?? null,
    totalMs: timings?.totalMs ?? null,
    session: tags.session ?? null,
    agent: tags.agent ?? null,
    requestClass: tags.requestClass ?? null,
    prompt: tags.prompt ?? null,
  };
}

/** A line of the log. */
export function loggedShown(line: LogLine): LoggedRequest {
  const { id, keyId, userId, walletId, accountId, priceId, admittedAt, model, status } = line;
  return {
    id,
    keyId,
    userId,
    walletId,
    accountId,
    priceId,
    admittedAt,
    model,
    closing: line.closing,
    certainty: line.certainty,
    status,
    costNanos: line.costNanos,
    tokens: {
      input: line.inputTokens,
      cacheWrite5m: line.cacheWrite5mTokens,
      cacheWrite1h: line.cacheWrite1hTokens,
      cacheRead: line.cacheReadTokens,
      output: line.outputTokens,
      webSearches: line.webSearches,
    },
    flags: [...line.flags],
    attempts: line.attempts.length,
    admitMs: line.admitMs,
    firstByteMs: line.firstByteMs,
    totalMs: line.totalMs,
    session: line.session,
    agent: line.agent,
    requestClass: line.requestClass,
    prompt: line.prompt,
  };
}

type Both = Omit<OwnRequestTold, 'heldNanos' | 'closedAt'>;

const COMMON: Columns<Both> = {
  at: ({ admittedAt }) => new Date(admittedAt).toISOString(),
  request: ({ id }) => id,
  key: ({ keyId }) => keyId,
  model: ({ model }) => model,
  closing: ({ closing }) => closing,
  certainty: ({ certainty }) => certainty,
  status: ({ status }) => status,
  cost_nanos: ({ costNanos }) => costNanos,
  input_tokens: ({ tokens }) => tokens.input,
  cache_write_5m_tokens: ({ tokens }) => tokens.cacheWrite5m,
  cache_write_1h_tokens: ({ tokens }) => tokens.cacheWrite1h,
  cache_read_tokens: ({ tokens }) => tokens.cacheRead,
  output_tokens: ({ tokens }) => tokens.output,
  web_searches: ({ tokens }) => tokens.webSearches,
  admit_ms: ({ admitMs }) => admitMs,
  first_byte_ms: ({ firstByteMs }) => firstByteMs,
  total_ms: ({ totalMs }) => totalMs,
  flags: ({ flags }) => flags.join(' '),
  session: ({ session }) => session,
  agent: ({ agent }) => agent,
  request_class: ({ requestClass }) => requestClass,
  prompt: ({ prompt }) => prompt,
};

export const OWN_COLUMNS: Columns<OwnRequestTold> = COMMON;

export const LOGGED_COLUMNS: Columns<LoggedRequest> = {
  ...COMMON,
  user: ({ userId }) => userId,
  wallet: ({ walletId }) => walletId,
  account: ({ accountId }) => accountId,
  price: ({ priceId }) => priceId,
};
