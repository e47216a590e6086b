// How D1 finds what the control plane asks for: every statement that its routes send is explained.
// A table that grows with use is never read whole.

import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { newApiKey, newPerson } from '../../tests/workerd/control-world';
import { admin, charged, flush, withCredit } from '../../tests/workerd/credit-world';
import { ROUTES } from '../control/routes';
import { ID_PREFIXES, ID_RANDOM_BYTES, newId } from '../domain/ids';
import type { IdKind } from '../domain/ids';

/** Tables that may be read whole, and why. */
const MAY_SCAN: Readonly<Record<string, string>> = {
  users: 'people are listed, searched by a part of their name and counted, by admins alone',
  wallets: 'as many as users, joined to them in the same lists',
  keys: 'listed in the order of their ids by admins, and counted for the summary',
  balances: 'one a wallet; summed up for the summary',
  accounts: 'a few dozen, always needed all',
  prices: 'a few dozen, always needed all',
  aliases: 'a few dozen, always needed all',
  settings: 'a handful',
  invites: 'listed in the order of their ids by admins',
  service_tokens: 'a handful',
  code_batches: 'listed in the order of their ids by admins',
  outbox: 'what has not arrived yet: nothing, or what one push leaves; more only in an outage',
  unknown_models: 'bounded by how fast they are noted, listed by admins',
};

/** What is no table: parts of the statement itself. */
const NO_TABLE =
  /^(?:CONSTANT ROW|looked|piece|dearest|\d+ CONSTANT ROWS|\(subquery-\d+\)|.+ VIRTUAL TABLE)/;

interface Sent {
  readonly query: string;
  readonly values: readonly unknown[];
}

const sent = new Map<string, Sent>();

/** Statements that are noted as they are made; what they do is as ever. */
function noting<T extends Pick<D1Database, 'prepare'>>(database: T): T {
  return new Proxy(database, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (name === 'prepare') return (query: string) => noted(target.prepare(query), query);
      if (name === 'withSession') {
        return (...constraint: Parameters<D1Database['withSession']>) =>
          noting(env.DB.withSession(...constraint));
      }
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

function noted(statement: D1PreparedStatement, query: string): D1PreparedStatement {
  const bind = statement.bind.bind(statement);
  sent.set(query, sent.get(query) ?? { query, values: [] });
  return Object.assign(statement, {
    bind: (...values: unknown[]) => {
      sent.set(query, { query, values });
      return bind(...values);
    },
  });
}

const bindings = { ...env, DB: noting(env.DB) };

/** Every kind of id, for paths of which it is not known what they take. */
const SOME_IDS = (Object.keys(ID_PREFIXES) as IdKind[]).map((kind) =>
  newId(kind, Date.now(), new Uint8Array(ID_RANDOM_BYTES)),
);

/** Filters and pages make other statements than the plain question. */
const QUERIES = [
  '',
  'limit=2',
  'search=a%25_b',
  'status=active',
  'role=admin',
  'format=csv',
  'range=month',
  'group=key',
  'group=user&range=90d',
  'group=model',
  'group=account',
  'group=closing',
  'closing=completed',
  'model=m',
  'session=s&status=200',
  'from=1000&to=2000000',
  ...SOME_IDS.flatMap((id) => {
    const field = { usr: 'userId', key: 'keyId', acc: 'accountId', wal: 'walletId' }[
      id.slice(0, 3)
    ];
    return [`cursor=${id}`, ...(field === undefined ? [] : [`${field}=${id}`])];
  }),
];

beforeAll(async () => {
  const who = await withCredit();
  const { keyId } = await newApiKey(who);
  const requestId = await charged(who, 1_000);
  await flush(who);
  const ids = [...SOME_IDS, who.userId, who.walletId, keyId, requestId, who.sessionId];
  const bodies = [
    {},
    { userId: who.userId },
    { userId: who.userId, amountNanos: 5, reason: 'r' },
    { requestId, reason: 'r' },
    { name: 'n' },
    { status: 'disabled' },
    { code: 'ABCD-EFGH-JKLM-NPQR' },
  ];
  const viewer = await newPerson({ role: 'viewer' });
  for (const { endpoint } of ROUTES) {
    const { method, path } = endpoint;
    // Nobody may be left logged out by what is asked here.
    if (path.includes('logout') || path.includes('/sessions')) continue;
    const paths = path.includes('{') ? ids.map((id) => path.replaceAll(/\{\w+\}/g, id)) : [path];
    for (const full of paths) {
      if (full.includes(admin.userId)) continue;
      const isMadeUp = SOME_IDS.some((id) => full.includes(id));
      if (method === 'GET') {
        for (const query of isMadeUp ? [''] : QUERIES) {
          const fields = Object.fromEntries(new URLSearchParams(query));
          if (query !== '' && endpoint.query?.safeParse(fields).success !== true) continue;
          await admin.call('GET', `${full}?${query}`, { bindings });
          if (path.startsWith('/api/')) await who.call('GET', `${full}?${query}`, { bindings });
        }
      } else if (!isMadeUp) {
        for (const body of bodies) {
          if (endpoint.body !== undefined && !endpoint.body.safeParse(body).success) continue;
          await admin.call(method, full, { bindings, body });
        }
      }
    }
  }
  await viewer.call('GET', '/admin/summary', { bindings });
}, 120_000);

async function planOf({ query, values }: Sent): Promise<string[]> {
  const explained = env.DB.prepare(`EXPLAIN QUERY PLAN ${query}`);
  const { results } = await explained.bind(...values).all<{ detail: string }>();
  return results.map(({ detail }) => detail);
}

/** Read in the order of its key up to a limit, with no row left out: as many rows as are shown. */
function isCutOff(query: string, plan: readonly string[]): boolean {
  const isWhole = plan.length === 1 && /^SCAN \w+$/.test(plan[0] ?? '');
  return isWhole && / limit \?$/i.test(query) && !/\b(?:where|join|group by)\b/i.test(query);
}

describe('every statement of the control plane', () => {
  it('is found by this test', () => {
    const text = [...sent.keys()].join('\n');
    for (const table of ['requests', 'rollups', 'audit', 'sessions', 'users', 'keys', 'balances']) {
      expect(text).toMatch(new RegExp(`(?:from|join) "?${table}`, 'i'));
    }
    expect(sent.size).toBeGreaterThan(40);
  });

  it('reads no table whole but those that stay small', async () => {
    const scans: string[] = [];
    for (const one of sent.values()) {
      const plan = await planOf(one);
      if (isCutOff(one.query, plan)) continue;
      for (const detail of plan) {
        const name = /^SCAN (.+)$/.exec(detail)?.[1] ?? '';
        const table = name.split(' ')[0] ?? '';
        if (name === '' || NO_TABLE.test(name) || MAY_SCAN[table] !== undefined) continue;
        scans.push(`${detail}: ${one.query}`);
      }
    }
    expect(scans).toEqual([]);
  });

  it('finds sums and lines by a range of their keys', async () => {
    const plans: string[] = [];
    for (const one of sent.values()) plans.push(...(await planOf(one)));
    const reads = (table: string) =>
      [...new Set(plans.filter((detail) => new RegExp(`^SEARCH ${table}\\b`).test(detail)))].sort();
    expect(reads('rollups')).toEqual([
      'SEARCH rollups USING INDEX rollups_user (user_id=? AND slot>? AND slot<?)',
      'SEARCH rollups USING PRIMARY KEY (slot>? AND slot<?)',
    ]);
    expect(reads('usage_totals')).toEqual([
      'SEARCH usage_totals USING PRIMARY KEY (hours=? AND starts_at>? AND starts_at<?)',
    ]);
    expect(reads('usage_days')).toEqual(['SEARCH usage_days USING PRIMARY KEY (day>? AND day<?)']);
    for (const detail of reads('requests')) {
      expect(detail).toMatch(/^SEARCH requests USING PRIMARY KEY \(id[>=]/);
    }
  });
});
