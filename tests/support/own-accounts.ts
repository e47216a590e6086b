// Accounts of a test's own, behind servers of their own, with a key that is bound to them: what a
// test does to them holds nothing back for anybody else, and nothing of others holds them back.

import { inject } from 'vitest';
import type { AccountWithState } from '../../workers/control/contract/account-fields';
import type { RequestDetail } from '../../workers/control/contract/requests';
import type { Token } from '../../workers/control/contract/tokens';
import { json, message } from './answers';
import type { Reply } from './client';
import { ask, eventually, send } from './client';
import { FakeUpstream } from './fake-upstream';
import type { Login } from './login';
import { logInAdmin } from './login';

/** What an account of one's own is, if not the usual. */
export type Fields = Readonly<Record<string, unknown>>;

/** Some accounts and the key that is bound to them. */
export interface Own {
  readonly key: string;
  readonly upstream: FakeUpstream;
  /** By the names that were asked for. */
  readonly ids: Readonly<Record<string, string>>;
  /** How the account stands. */
  readonly account: (name: string) => Promise<AccountWithState>;
  /** How often each was called with `mark`. */
  readonly calls: (mark: string) => Readonly<Record<string, number>>;
}

/** What somebody needs to make accounts; made once a file. */
export interface Owner {
  readonly admin: Login;
  /** Accounts of these names, tried in this order, for a new key with these limits. */
  readonly own: (names: readonly string[], more?: Fields, limits?: Fields) => Promise<Own>;
  /** One of another kind than the usual, behind a server that is there already; its key. */
  readonly foreign: (account: Fields) => Promise<Pick<Own, 'key' | 'ids' | 'account'>>;
  /** Waits until the relay knows all that was made. */
  readonly known: () => Promise<void>;
  /** What the ledger says of a request of one of these keys. */
  readonly row: (reply: Pick<Reply, 'headers'>) => Promise<RequestDetail>;
  /** Takes all of it away. */
  readonly end: () => Promise<void>;
}

/** Behind all that others use: nobody else's conversation comes here. */
const PRIORITY = 100;
const CREDIT_NANOS = 1_000_000_000_000;
let labels = 0;

/** Logs in, and has money. */
export async function ownerOfAccounts(): Promise<Owner> {
  const admin = await logInAdmin(inject('relay'));
  const grant = { userId: admin.userId, amountNanos: CREDIT_NANOS, reason: 'for tests' };
  await admin.call('POST', '/admin/credits/grant', grant);
  const made: string[] = [];
  const upstreams: FakeUpstream[] = [];
  const label = (): string => {
    labels += 1;
    return `own-${process.pid}-${labels}`;
  };
  const add = async (fields: Fields): Promise<string> => {
    const { account } = await admin.call<{ account: { id: string } }>(
      'POST',
      '/admin/accounts',
      fields,
    );
    made.push(account.id);
    return account.id;
  };
  const keyTo = async (group: string, more: Fields = {}): Promise<string> => {
    const limits = { ...more, groups: [group] };
    const { key } = await admin.call<{ token: Token; key: string }>('POST', '/api/tokens', {
      name: group,
      limits,
    });
    return key;
  };
  const account = (id: string | undefined): Promise<AccountWithState> =>
    admin.call('GET', `/admin/accounts/${id}`);

  const own: Owner['own'] = async (names, more = {}, limits = {}) => {
    const group = label();
    const upstream = new FakeUpstream(Object.fromEntries(names.map((name) => [name, { port: 0 }])));
    upstreams.push(upstream);
    await upstream.open();
    const ids: Record<string, string> = {};
    for (const [index, name] of names.entries()) {
      ids[name] = await add({
        name: `${group} ${name}`,
        kind: 'anthropic-compatible',
        credential: `sk-upstream-canary-${group}`,
        baseUrl: `http://127.0.0.1:${upstream.portOf(name)}`,
        groups: [group],
        priority: PRIORITY + index,
        ...more,
      });
    }
    const calls = (mark: string): Readonly<Record<string, number>> =>
      Object.fromEntries(
        names.map((name) => [
          name,
          upstream.seen(mark).filter((one) => one.account === name).length,
        ]),
      );
    return {
      key: await keyTo(group, limits),
      upstream,
      ids,
      account: (name) => account(ids[name]),
      calls,
    };
  };

  const foreign: Owner['foreign'] = async (fields) => {
    const group = label();
    const id = await add({ name: group, groups: [group], priority: PRIORITY, ...fields });
    return { key: await keyTo(group), ids: { only: id }, account: () => account(id) };
  };

  const known = async (): Promise<void> => {
    const last = await own(['last']);
    last.upstream.on('is-it-known', json(message('yes')));
    await eventually('the relay knows the last account', async () => {
      const { status } = await send('/v1/messages', { key: last.key, body: ask('is-it-known') });
      return status === 200 ? true : null;
    });
  };

  const row: Owner['row'] = async ({ headers }) => {
    const path = `/api/relay/requests/${String(headers['x-relay-request-id'])}`;
    return eventually(`${path} is closed`, async () => {
      const found = await admin.call<RequestDetail>('GET', path);
      return found.closedAt === null ? null : found;
    });
  };

  const end = async (): Promise<void> => {
    await Promise.all(upstreams.map((upstream) => upstream.close()));
    for (const id of made) {
      await admin.call('POST', `/admin/accounts/${id}/disable`);
      await admin.call('DELETE', `/admin/accounts/${id}`);
    }
  };
  return { admin, own, foreign, known, row, end };
}
