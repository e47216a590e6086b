// What users see of the relay: through the routes, on requests that a real Ledger has closed.

import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { call, codeOf, newPerson, read } from '../../../tests/workerd/control-world';
import { settleCall } from '../../../tests/support/ledger';
import { admin, flush, ledgerOfPerson } from '../../../tests/workerd/credit-world';
import type { Customer } from '../../../tests/workerd/customer-world';
import { ACCOUNTS, closed, customer, MODEL, opened } from '../../../tests/workerd/customer-world';
import type { Model } from '../contract/relay';
import type { LoggedRequest, OwnRequestTold, RequestDetail } from '../contract/requests';
import type { Line } from '../contract/credits';
import type { UsageAnswer } from '../contract/usage';
import type { RequestId } from '../../domain/ids';
import { newId } from '../../domain/ids';
import type { Lease } from '../../domain/ledger/calls';
import { addNanos, nanos, ZERO_NANOS } from '../../domain/money';
import { NO_TOKENS } from '../../domain/usage/tokens';
import { randomBytes } from '../../platform/random';

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

describe('the relay’s health', () => {
  it('is told to anyone', async () => {
    const health = await read<{ status: string }>(await call('GET', '/api/relay/health'));
    expect(health).toMatchObject({ status: 'ok', checks: { database: 'ok', pool: 'ok' } });
  });
});

describe('models', () => {
  it('are listed with prices a million tokens, limits and other names', async () => {
    const who = await newPerson({ role: 'viewer' });
    const page = await read<{ items: Model[] }>(await who.call('GET', '/api/relay/models'));
    const opus = page.items.find(({ id }) => id === MODEL);
    expect(opus).toMatchObject({
      name: 'Claude Opus 5.5',
      maxOutputTokens: 128_000,
      prices: [{ promptAbove: 0, input: 4_000_000_000, output: 20_000_000_000 }],
      geo: { us: [11, 10] },
      changesAt: null,
    });
    const old = page.items.find(({ id }) => id === 'claude-haiku-4-5');
    expect(old?.aliases).toEqual(['claude-haiku-4-5-20251001']);
    expect(new Set(page.items.map(({ id }) => id)).size).toBe(page.items.length);
  });

  it('are for those who are logged in', async () => {
    for (const path of ['models', 'usage', 'requests']) {
      expect((await call('GET', `/api/relay/${path}`)).status).toBe(401);
    }
  });

  it('cannot be told while Pool does not answer', async () => {
    const who = await newPerson();
    const broken = { snapshot: () => Promise.reject(new Error('no object')) };
    // Only what platform/objects.ts calls.
    const POOL = { idFromName: () => 'id', get: () => broken } as unknown as Env['POOL'];
    const answer = await who.call('GET', '/api/relay/models', { bindings: { ...env, POOL } });
    expect(answer.status).toBe(503);
  });
});

describe('requests, usage and the statement', () => {
  it('agree to the nano-dollar, by every way of asking', async () => {
    const who = await customer();
    const ids: RequestId[] = [];
    for (let n = 0; n < 12; n += 1) ids.push(await closed(who, n));
    ids.push(await closed(who, 12, { closing: 'upstream-failed', costNanos: ZERO_NANOS }));
    await flush(who);

    const details = await Promise.all(
      ids.map(async (id) =>
        read<RequestDetail>(await who.call('GET', `/api/relay/requests/${id}`)),
      ),
    );
    for (const { cost, costNanos, closing } of details) {
      if (closing === 'completed')
        expect([cost.basis, cost.pricedNanos]).toEqual(['priced', costNanos]);
    }
    const cost = addNanos(...details.map(({ costNanos }) => nanos(costNanos)));
    const list = await read<Page<OwnRequestTold>>(await who.call('GET', '/api/relay/requests'));
    expect(list.items.map(({ id }) => id)).toEqual(ids.toReversed());
    expect(list.items.reduce((sum, { costNanos }) => sum + costNanos, 0)).toBe(cost);
    const statement = await read<Page<Line>>(
      await who.call('GET', '/api/credits/statement?kind=charge'),
    );
    expect(statement.items.reduce((sum, { amountNanos }) => sum - amountNanos, 0)).toBe(cost);
    for (const group of ['none', 'key', 'model', 'day', 'closing']) {
      for (const granularity of ['minute', 'hour', 'day', 'week', 'month']) {
        if (group === 'day' && ['week', 'month'].includes(granularity)) continue;
        const path = `/api/relay/usage?group=${group}&granularity=${granularity}`;
        const usage = await read<UsageAnswer>(await who.call('GET', path));
        expect(usage.totals).toMatchObject({ requests: 13, errors: 1, costNanos: cost });
        expect(usage.totals.tokens.output).toBe(
          details.reduce((sum, { tokens }) => sum + tokens.output, 0),
        );
        for (const part of [usage.series, usage.groups]) {
          expect(part.reduce((sum, { costNanos }) => sum + costNanos, 0)).toBe(cost);
          expect(part.reduce((sum, { requests }) => sum + requests, 0)).toBe(13);
        }
        expect(usage.totals.latencyMs.p50).toBeGreaterThanOrEqual(896);
        expect(usage.totals.latencyMs.p99).toBeLessThan(1_280);
        expect(usage.totals.firstByteMs.p95).toBeLessThan(128);
      }
    }
    const keys = await read<UsageAnswer>(await who.call('GET', '/api/relay/usage?group=key'));
    expect(keys.groups).toMatchObject([{ name: who.keyId, label: 'K', requests: 13 }]);
    expect(keys.groups[0]?.points).toHaveLength(1);

    const logged = await read<Page<LoggedRequest>>(
      await admin.call('GET', `/admin/requests?userId=${who.userId}`),
    );
    expect(logged.items.map(({ id }) => id)).toEqual(ids.toReversed());
    expect(logged.items.reduce((sum, { costNanos }) => sum + costNanos, 0)).toBe(cost);
    const path = `/admin/usage?userId=${who.userId}&group=account`;
    const all = await read<UsageAnswer>(await admin.call('GET', path));
    expect(all.totals).toEqual(keys.totals);
    expect(all.groups).toMatchObject([{ name: ACCOUNTS[1], costNanos: cost }]);
  });

  it('by the minute know what no batch has told yet, and leave out what runs', async () => {
    const who = await customer();
    await closed(who, 1);
    await opened(who);
    const by = async (granularity: string) =>
      read<UsageAnswer>(await who.call('GET', `/api/relay/usage?granularity=${granularity}`));
    expect((await by('minute')).totals.requests).toBe(1);
    expect((await by('minute')).isComplete).toBe(true);
    expect((await by('day')).totals.requests).toBe(0);
  });
});

describe('a request', () => {
  it('shows each account that was tried by a number, and how its cost adds up', async () => {
    const who = await customer();
    const id = await closed(who, 4);
    const detail = await read<RequestDetail>(await who.call('GET', `/api/relay/requests/${id}`));
    const hidden = { accountId: null, absorbedNanos: null };
    expect(detail.attempts).toEqual([
      { account: 'account 1', ...hidden, status: 529, outcome: 'refused', durationMs: 40 },
      { account: 'account 2', ...hidden, status: 200, outcome: 'answered', durationMs: 900 },
    ]);
    expect(JSON.stringify(detail)).not.toMatch(/acc_/);
    expect([detail.userId, detail.walletId]).toEqual([null, null]);
    expect(detail.cost.lines.map(({ kind, count }) => [kind, count])).toEqual([
      ['input', 14],
      ['cacheWrite5m', 4],
      ['cacheWrite1h', 4],
      ['cacheRead', 4_004],
      ['output', 54],
    ]);
    expect(detail.cost.lines[0]).toMatchObject({
      perMillionNanos: 4_000_000_000,
      factors: [
        { term: 'speed', value: 'fast', numerator: 2, denominator: 1 },
        { term: 'geo', value: 'us', numerator: 11, denominator: 10 },
      ],
      picos: String((14 * 4_000_000 * 22) / 10),
    });
    const picos = detail.cost.lines.reduce((sum, line) => sum + Number(line.picos), 0);
    expect(Number(detail.cost.picos)).toBe(picos);
    expect(detail.costNanos).toBe(Math.ceil(picos / 1_000));
    expect(detail.closingWords).toBe('The answer was whole.');
  });

  it('is told to staff with accounts and owner', async () => {
    const who = await customer();
    const id = await closed(who, 1);
    const unlogged = await admin.call('GET', `/admin/requests/${id}`);
    expect(unlogged.status).toBe(404);
    const { userId, walletId } = who;
    const viewer = await newPerson({ role: 'viewer' });
    const path = `/admin/requests/${id}?userId=${userId}`;
    const detail = await read<RequestDetail>(await viewer.call('GET', path));
    expect(detail).toMatchObject({ userId, walletId, attempts: [{ accountId: ACCOUNTS[0] }, {}] });
    await flush(who);
    expect((await admin.call('GET', `/admin/requests/${id}`)).status).toBe(200);
    const other = await newPerson();
    for (const query of [`userId=${other.userId}`, `walletId=${other.walletId}`]) {
      expect((await admin.call('GET', `/admin/requests/${id}?${query}`)).status).toBe(404);
    }
  });

  it('shows what a move cost; to staff alone from where, and what accounts paid', async () => {
    const who = await customer();
    const [first, second] = ACCOUNTS;
    const counts = { ...NO_TOKENS, cacheWrite5m: 1_000, output: 9 };
    const terms = { speed: null, geo: null, tier: null };
    const usage = { entries: [{ model: MODEL, counts, terms }], flags: [] };
    const tried = { accountId: first, status: null, outcome: 'timeout', durationMs: 7 };
    const talk = { conversation: 'a-talk' };
    const before = await opened(who, MODEL, talk);
    await ledgerOfPerson(who).settle(settleCall(before, { accountId: first, usage }));
    const lease = await opened(who, MODEL, talk);
    const paid = { accountNanos: nanos(77), attempts: [{ ...tried, absorbedNanos: nanos(5) }] };
    const call = settleCall(lease, { accountId: second, usage, ...paid });
    await ledgerOfPerson(who).settle(call);
    const { cacheWrite5m, cacheRead } = lease.price?.bands[0] ?? { cacheWrite5m: 0, cacheRead: 0 };
    const movedNanos = cacheWrite5m - cacheRead;
    const own = await read<RequestDetail>(
      await who.call('GET', `/api/relay/requests/${lease.requestId}`),
    );
    const hidden = { movedFrom: null, accountNanos: null, attempts: [{ absorbedNanos: null }] };
    expect(own).toMatchObject({ movedNanos, ...hidden });
    expect(movedNanos).toBeGreaterThan(0);
    const path = `/admin/requests/${lease.requestId}?userId=${who.userId}`;
    const told = { movedFrom: first, accountNanos: 77, attempts: [{ absorbedNanos: 5 }] };
    const detail = await read<RequestDetail>(await admin.call('GET', path));
    expect(detail).toMatchObject({ movedNanos, ...told });
  });

  it('says what a correction changed, and why a cost is what it is', async () => {
    const who = await customer();
    const lease = await opened(who);
    const { likelyInputNanos } = lease;
    const nothing = { entries: [], flags: ['estimated' as const] };
    const settle = {
      seq: lease.seq,
      requestId: lease.requestId,
      keyId: who.keyId,
      closing: 'client-left',
      certainty: 'estimated',
      usage: nothing,
      costNanos: likelyInputNanos,
      admittedAt: lease.admittedAt,
      model: MODEL,
      accountId: null,
      status: null,
      attempts: [],
      timings: { admitMs: 1, firstByteMs: null, totalMs: 5 },
    } as const;
    await ledgerOfPerson(who).settle(settle);
    const path = `/api/relay/requests/${lease.requestId}`;
    const before = await read<RequestDetail>(await who.call('GET', path));
    expect(before.cost).toMatchObject({ basis: 'likely-input', likelyInputNanos, lines: [] });
    await ledgerOfPerson(who).settle({ ...settle, certainty: 'reported', costNanos: nanos(1) });
    const after = await read<RequestDetail>(await who.call('GET', path));
    expect(after).toMatchObject({
      costNanos: 1,
      first: { closing: 'client-left', certainty: 'estimated', costNanos: likelyInputNanos },
      corrections: [{ amountNanos: likelyInputNanos - 1 }],
      cost: { basis: 'other-prices' },
    });
  });

  it('of somebody else, or none at all, is not there', async () => {
    const [who, other] = [await customer(), await customer()];
    const id = await closed(who, 1);
    for (const path of [id, 'req_1', newId('request', Date.now(), randomBytes(10)), '%2e%2e']) {
      const answer = await other.call('GET', `/api/relay/requests/${path}`);
      expect([answer.status, await codeOf(answer)]).toEqual([404, 'not-found']);
      const stop = await other.call('POST', `/api/relay/requests/${path}/stop`, { body: {} });
      expect(stop.status).toBe(404);
    }
    const list = await read<Page<OwnRequestTold>>(await other.call('GET', '/api/relay/requests'));
    expect(list.items).toEqual([]);
    const mine = `/api/relay/usage?granularity=minute&keyId=${who.keyId}`;
    expect((await read<UsageAnswer>(await other.call('GET', mine))).totals.requests).toBe(0);
  });
});

describe('stopping a request', () => {
  async function isStopping(who: Customer, lease: Lease): Promise<string> {
    const { seq, requestId } = lease;
    const call = { seq, requestId, n: 1, costNanos: ZERO_NANOS, dispatched: true };
    return (await ledgerOfPerson(who).progress(call)).state;
  }

  async function auditOf(id: string): Promise<unknown[]> {
    const query = 'SELECT actor_id, action FROM audit WHERE target_id = ?';
    return env.DB.prepare(query).bind(id).raw();
  }

  it('ends it at its next sign of life, and is written down', async () => {
    const who = await customer();
    const lease = await opened(who);
    const { requestId } = lease;
    const path = `/api/relay/requests/${requestId}/stop`;
    expect(await read(await who.call('POST', path))).toEqual({
      id: requestId,
      state: 'stopping',
      closing: null,
    });
    expect(await isStopping(who, lease)).toBe('stop');
    expect(await auditOf(requestId)).toEqual([[who.userId, 'relay.stop']]);
    const detail = await read<RequestDetail>(
      await who.call('GET', `/api/relay/requests/${requestId}`),
    );
    expect(detail).toMatchObject({ stoppedBy: 'you', closing: null, cost: { basis: 'running' } });
  });

  it('by an admin needs to know whose it is', async () => {
    const [who, other] = [await customer(), await customer()];
    const lease = await opened(who);
    const path = `/admin/requests/${lease.requestId}/stop`;
    expect((await admin.call('POST', path, { body: {} })).status).toBe(400);
    const elsewhere = { body: { userId: other.userId } };
    expect((await admin.call('POST', path, elsewhere)).status).toBe(404);
    expect(await isStopping(who, lease)).toBe('open');
    const viewer = await newPerson({ role: 'viewer' });
    const body = { walletId: who.walletId };
    expect((await viewer.call('POST', path, { body })).status).toBe(403);
    expect((await who.call('POST', path, { body })).status).toBe(403);
    expect(await read(await admin.call('POST', path, { body }))).toMatchObject({
      state: 'stopping',
    });
    expect(await auditOf(lease.requestId)).toEqual([[admin.userId, 'admin.requests.stop']]);
    const detail = await read<RequestDetail>(
      await who.call('GET', `/api/relay/requests/${lease.requestId}`),
    );
    expect(detail.stoppedBy).toBe('admin');
  });

  it('leaves one that is over alone, and viewers stop nothing', async () => {
    const who = await customer();
    const id = await closed(who, 1);
    const path = `/api/relay/requests/${id}/stop`;
    expect(await read(await who.call('POST', path))).toMatchObject({
      state: 'closed',
      closing: 'completed',
    });
    expect(await auditOf(id)).toEqual([]);
    const viewer = await newPerson({ role: 'viewer' });
    expect((await viewer.call('POST', path)).status).toBe(403);
  });
});

describe('a list of requests', () => {
  it('is filtered, paged and given as a file that no spreadsheet runs', async () => {
    const who = await customer();
    for (let n = 0; n < 5; n += 1) await closed(who, n);
    const lease = await opened(who);
    const ask = async (query: string) =>
      read<Page<OwnRequestTold>>(await who.call('GET', `/api/relay/requests?${query}`));
    const running = await ask('closing=open');
    expect(running.items.map(({ id, closing }) => [id, closing])).toEqual([
      [lease.requestId, null],
    ]);
    expect(running.items[0]?.heldNanos).toBeGreaterThan(0);
    const haiku = await ask('model=claude-haiku-5-5');
    expect(haiku.items.map(({ tokens }) => tokens.input)).toEqual([13, 10]);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<OwnRequestTold> = await ask(
        `limit=2${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== null);
    expect(seen).toHaveLength(6);
    expect(new Set(seen).size).toBe(6);
    const file = await who.call('GET', '/api/relay/requests?format=csv');
    expect(file.headers.get('content-type')).toMatch(/^text\/csv/);
    const lines = (await file.text()).split('\r\n');
    expect(lines[0]).toMatch(/^at,request,key,model,closing/);
    expect(lines).toHaveLength(8);
    expect(lines[1]).toContain("'=cmd");
  });

  it('refuses cursors and fields that are none', async () => {
    const who = await customer();
    for (const query of ['cursor=x', 'limit=0', 'limit=201', 'closing=x', 'keyId=1', 'who=me']) {
      const answer = await who.call('GET', `/api/relay/requests?${query}`);
      expect([query, answer.status]).toEqual([query, 400]);
    }
  });

  it('is not told while the wallet’s object cannot be reached', async () => {
    const who = await customer();
    const broken = () => Promise.reject(new Error('no object'));
    const port = { requests: broken, request: broken };
    // Only what platform/objects.ts calls.
    const LEDGER = { idFromName: () => 'id', get: () => port } as unknown as Env['LEDGER'];
    const bindings = { ...env, LEDGER };
    const id = newId('request', Date.now(), randomBytes(10));
    for (const path of ['requests', `requests/${id}`, 'usage?granularity=minute']) {
      expect((await who.call('GET', `/api/relay/${path}`, { bindings })).status).toBe(503);
    }
  });
});
