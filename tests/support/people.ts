// Users of a relay under test, written into its database before it starts, with money that waits in
// the outbox: each journey has a wallet of its own, so balances can be compared to the nano. The
// key that everyone else gets comes through the setup door; these are for what no door offers yet.

import { createHash, createHmac, randomBytes } from 'node:crypto';
import { ID_RANDOM_BYTES, newId } from '../../workers/domain/ids';
import type { IdKind } from '../../workers/domain/ids';
import { SECRET_BYTES, signedKey, unsignedKey } from '../../workers/domain/keys/format';
import type { LimitSet } from '../../workers/domain/limits/limit-set';
import { nanosFromDollars } from '../../workers/domain/money';

const REGION = 'weur';
/** Old enough for the cron to deliver at its first run. */
const WRITTEN_AGO_MS = 60_000;

/** What is out of the ordinary about somebody; an ordinary one has a working key and $10. */
interface Condition {
  readonly nanos?: number;
  readonly key?: 'disabled' | 'deleted' | 'expired';
  readonly user?: 'suspended';
  readonly wallet?: 'suspended';
  /** What its key says of answers whose client has gone. */
  readonly whenClientLeaves?: 'drain';
  /** Never written into the database. */
  readonly absent?: true;
  /** Of the key. */
  readonly limits?: LimitSet;
  /** Whose days the limits count; UTC. */
  readonly timeZone?: string;
}

/** Where it is neither near midnight now nor soon; half an hour off UTC's hours. */
const FAR_FROM_MIDNIGHT =
  new Date().getUTCHours() >= 10 && new Date().getUTCHours() < 20
    ? 'America/St_Johns'
    : 'Asia/Kolkata';

/** Everyone that the journeys meet. */
const PEOPLE = {
  bytes: {},
  clients: {},
  errors: {},
  leaving: {},
  draining: { whenClientLeaves: 'drain' },
  /** Whose key, or who, is put out of action in the middle. */
  revoking: {},
  deleting: {},
  suspending: {},
  load: { nanos: 1_000_000_000_000 },
  money: { nanos: 1_000_000_000_000 },
  retry: {},
  spent: { nanos: 1 },
  /** Enough to begin, not to end: four cents. */
  scarce: { nanos: 40_000_000 },
  penniless: { nanos: 0 },
  /** A dollar a day, of which tests use up the whole. */
  capped: {
    limits: { budgets: [{ period: 'day', limitNanos: nanosFromDollars(1) }] },
    timeZone: FAR_FROM_MIDNIGHT,
  },
  uncapped: {},
  /** Whose key may be used for some models, by some clients, from some addresses. */
  restricted: {
    limits: {
      models: { allow: ['claude-*'], deny: ['claude-opus-*'] },
      protocols: ['anthropic'],
      clients: ['agent/*'],
      addresses: ['0.0.0.0/0', '::/0'],
    },
  },
  /** Half a dollar, for a session of Claude Code. */
  agent: { nanos: 500_000_000 },
  coldAgent: { nanos: 500_000_000 },
  /** A tenth of a cent: nothing that Claude Code sends can begin with it. */
  nearlySpent: { nanos: 1_000_000 },
  disabled: { key: 'disabled' },
  deleted: { key: 'deleted' },
  expired: { key: 'expired' },
  userSuspended: { user: 'suspended' },
  walletSuspended: { wallet: 'suspended' },
  unknown: { absent: true },
} as const satisfies Readonly<Record<string, Condition>>;

export type PersonName = keyof typeof PEOPLE;
/** Name → API key. */
export type Keys = Readonly<Record<PersonName, string>>;

const CROWD_SIZE = 100;

interface People {
  readonly keys: Keys;
  /** Of ordinary people without a name. */
  readonly crowd: readonly string[];
  readonly sql: string;
}

/** Keys for everyone, and the SQL that makes them true. */
export function makePeople(keyTagSecret: string): People {
  const nameless = Array.from(
    { length: CROWD_SIZE },
    (_, index) => [`crowd-${index}`, {}] as const,
  );
  const everyone: readonly (readonly [string, Condition])[] = [
    ...Object.entries<Condition>(PEOPLE),
    ...nameless,
  ];
  const made = everyone.map(([name, condition]) => {
    const ids = { user: id('user'), wallet: id('wallet'), key: id('key') };
    const unsigned = unsignedKey({
      tagVersion: '1',
      region: REGION,
      walletId: ids.wallet,
      keyId: ids.key,
      secretBytes: randomBytes(SECRET_BYTES),
    });
    const key = signedKey(unsigned, createHmac('sha256', keyTagSecret).update(unsigned).digest());
    return { name, key, sql: condition.absent ? [] : rowsOf({ name, ids, key, condition }) };
  });
  const named = made.slice(0, -CROWD_SIZE);
  return {
    // The names are PEOPLE's own.
    keys: Object.fromEntries(named.map(({ name, key }) => [name, key])) as unknown as Keys,
    crowd: made.slice(-CROWD_SIZE).map(({ key }) => key),
    sql: made.flatMap(({ sql }) => sql).join('\n'),
  };
}

function id<K extends IdKind>(kind: K): ReturnType<typeof newId<K>> {
  return newId(kind, Date.now(), randomBytes(ID_RANDOM_BYTES));
}

interface Person {
  readonly name: string;
  readonly ids: Readonly<Record<'user' | 'wallet' | 'key', string>>;
  readonly key: string;
  readonly condition: Condition;
}

function rowsOf({ name, ids, key, condition }: Person): string[] {
  const at = Date.now() - WRITTEN_AGO_MS;
  const hash = createHash('sha256').update(key).digest('base64url');
  const expiresAt = condition.key === 'expired' ? at : null;
  const keyStatus = condition.key === 'expired' ? 'active' : (condition.key ?? 'active');
  const amountNanos = condition.nanos ?? 10_000_000_000;
  const entryId = `seed:${name}`;
  const grant = { entryId, kind: 'grant', amountNanos, reason: 'seed', actor: 'test' };
  const email = `${name.toLowerCase()}@relay.test`;
  const rows = [
    insert('users', {
      id: ids.user,
      email,
      name,
      role: 'user',
      password: 'none',
      status: condition.user ?? 'active',
      time_zone: condition.timeZone ?? 'UTC',
      version: at,
      created_at: at,
    }),
    insert('wallets', {
      id: ids.wallet,
      user_id: ids.user,
      region: REGION,
      status: condition.wallet ?? 'active',
      version: at,
      created_at: at,
    }),
    insert('keys', {
      id: ids.key,
      wallet_id: ids.wallet,
      user_id: ids.user,
      name,
      hash,
      tag_version: '1',
      status: keyStatus,
      expires_at: expiresAt,
      when_client_leaves: condition.whenClientLeaves ?? 'cancel',
      limits: JSON.stringify(condition.limits ?? {}),
      version: at,
      created_at: at,
    }),
  ];
  if (amountNanos === 0) return rows;
  const credit = insert('outbox', {
    id: `credit:${entryId}`,
    kind: 'credit',
    subject_id: entryId,
    wallet_id: ids.wallet,
    region: REGION,
    version: at,
    payload: JSON.stringify(grant),
    created_at: at,
  });
  return [...rows, credit];
}

/** Values are this file's own: no quote is in any of them. */
function insert(table: string, row: Readonly<Record<string, string | number | null>>): string {
  const values = Object.values(row).map((value) =>
    typeof value === 'string' ? `'${value}'` : String(value ?? 'NULL'),
  );
  return `INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${values.join(', ')});`;
}
