// Somebody's first day, from the invitation to the first refusal: and every place that tells of the
// one request, the key's own document, list, detail, statement, balance, usage by every group, says
// the same to the nano-dollar.

import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { LoggedIn } from '../../workers/control/contract/auth';
import type { Balance, Line } from '../../workers/control/contract/credits';
import type { OwnRequestTold, RequestDetail } from '../../workers/control/contract/requests';
import type { Token } from '../../workers/control/contract/tokens';
import { json, message, USAGE, USAGE_NANOS } from '../support/answers';
import { ask, send, settledInfo } from '../support/client';
import { FakeUpstream } from '../support/fake-upstream';
import type { Login } from '../support/login';
import { asLogin, logInAdmin } from '../support/login';

interface Made {
  readonly token: Token;
  readonly key: string;
}
interface Usage {
  readonly totals: { readonly requests: number; readonly costNanos: number };
  readonly groups: readonly { readonly name: string; readonly costNanos: number }[];
}

const DOLLAR = 1_000_000_000;
const relay = inject('relay');
const upstream = new FakeUpstream(relay.accounts);
let admin: Login;
let person: Login;
let made: Made;

beforeAll(async () => {
  await upstream.open();
  admin = await logInAdmin(relay);
});
afterAll(() => upstream.close());

test('an invitation lets one person in, as what it was made for', async () => {
  const email = 'first-day@relay.test';
  const { secret } = await admin.call<{ secret: string }>('POST', '/admin/invites', { email });
  const given = { email, name: 'First Day', password: 'a password of mine', invite: secret };
  const body = JSON.stringify({ ...given, transport: 'bearer' });
  const answer = await send('/api/auth/register', { body });
  expect(answer.status).toBe(201);
  person = asLogin(JSON.parse(answer.text) as LoggedIn);
  const me = await person.call<{ user: object }>('GET', '/api/auth/me');
  expect(me.user).toMatchObject({ email, role: 'user' });
  expect((await send('/api/auth/register', { body })).status).toBe(403);
  expect((await send('/admin/users', { key: person.token })).status).toBe(403);
});

test('a key has the limits that it was made with, and money that was granted', async () => {
  const grant = { userId: person.userId, amountNanos: DOLLAR, reason: 'a first dollar' };
  await admin.call('POST', '/admin/credits/grant', grant);
  const limits = { requests: [{ limit: 1, spanMs: 3_600_000 }] };
  made = await person.call<Made>('POST', '/api/tokens', { name: 'first', limits });
  const info = await settledInfo(made.key);
  expect(info).toMatchObject({
    wallet: { balance_nanos: DOLLAR },
    limits: [{ scope: 'key', kind: 'requests', limit: 1, used: 0, remaining: 1 }],
  });
});

test('the one request is told alike in every place', async () => {
  upstream.on('first-day', json(message('seen')));
  const call = { key: made.key, body: ask('first-day') };
  expect((await send('/api/v1/messages', call)).status).toBe(200);
  const { wallet, key } = await settledInfo(made.key);
  expect([key.used_nanos, key.requests]).toEqual([USAGE_NANOS, 1]);
  expect(wallet.balance_nanos).toBe(DOLLAR - USAGE_NANOS);

  const own = await person.call<{ items: OwnRequestTold[] }>('GET', '/api/relay/requests');
  expect(own.items).toMatchObject([
    { keyId: made.token.id, costNanos: USAGE_NANOS, closing: 'completed', certainty: 'reported' },
  ]);
  const [request] = own.items;
  expect(request?.tokens.output).toBe(USAGE.output_tokens);
  const path = `/api/relay/requests/${request?.id}`;
  const detail = await person.call<RequestDetail>('GET', path);
  expect(detail).toMatchObject({ costNanos: USAGE_NANOS, tokens: request?.tokens });
  expect(detail.cost).toMatchObject({ basis: 'priced', pricedNanos: USAGE_NANOS });
  const picos = detail.cost.lines.reduce((sum, line) => sum + BigInt(line.picos), 0n);
  expect(picos).toBe(BigInt(USAGE_NANOS) * 1_000n);

  const statement = await person.call<{ items: Line[] }>('GET', '/api/credits/statement');
  expect(statement.items).toMatchObject([
    { requestId: request?.id, amountNanos: -USAGE_NANOS, balanceNanos: DOLLAR - USAGE_NANOS },
    { kind: 'grant', amountNanos: DOLLAR, balanceNanos: DOLLAR, reason: 'a first dollar' },
  ]);
  const balance = await person.call<Balance>('GET', '/api/credits');
  expect(balance).toMatchObject({ balanceNanos: DOLLAR - USAGE_NANOS, heldNanos: 0, openCount: 0 });
  const ofKey = await person.call<object>('GET', `/api/tokens/${made.token.id}/usage`);
  expect(ofKey).toMatchObject({ requests: 1, usedNanos: USAGE_NANOS });
  for (const group of ['none', 'key', 'model', 'closing']) {
    const address = `/api/relay/usage?granularity=minute&group=${group}`;
    const { totals, groups } = await person.call<Usage>('GET', address);
    expect([group, totals.requests, totals.costNanos]).toEqual([group, 1, USAGE_NANOS]);
    const sum = groups.reduce((all, { costNanos }) => all + costNanos, 0);
    expect([group, sum]).toEqual([group, USAGE_NANOS]);
  }
});

test('the second request is refused by the limit, and no place tells of it as paid', async () => {
  const answer = await send('/api/v1/messages', { key: made.key, body: ask('first-day') });
  expect(answer.status).toBe(429);
  expect(upstream.seen('first-day')).toHaveLength(1);
  const balance = await person.call<Balance>('GET', '/api/credits');
  expect(balance.balanceNanos).toBe(DOLLAR - USAGE_NANOS);
});
