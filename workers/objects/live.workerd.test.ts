// Watching the relay through the control plane's own door: who gets a socket, what is said over it,
// and when it is closed.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Somebody } from '../../tests/workerd/control-world';
import {
  call,
  codeOf,
  newApiKey,
  newPerson,
  newServiceToken,
  newSession,
  ORIGIN,
  withBearer,
} from '../../tests/workerd/control-world';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { LiveMessage } from '../domain/live';
import type { Nanos } from '../domain/money';
import { liveOf, poolOf } from '../platform/objects';

useFakeDate();

const stub = env.LIVE.get(env.LIVE.idFromName('live'));
const UPGRADE = { headers: { upgrade: 'websocket' } };
const MESSAGE: LiveMessage = {
  events: [{ kind: 'running', at: 1, requestId: 'req_1', costNanos: 5 as Nanos }],
  sampled: { told: 1, of: 2 },
};

/** A socket, and what came over it. */
interface Watching {
  readonly socket: WebSocket;
  readonly heard: string[];
  readonly closed: Promise<number>;
}

let open: WebSocket[] = [];

function watchingOf(response: Response): Watching {
  const { webSocket: socket, status } = response;
  if (socket === null) throw new Error(`no socket: ${status}`);
  const heard: string[] = [];
  const closed = new Promise<number>((resolve) => {
    socket.addEventListener('close', ({ code }) => resolve(code));
  });
  socket.addEventListener('message', ({ data }) => void heard.push(String(data)));
  socket.accept();
  open.push(socket);
  return { socket, heard, closed };
}

async function watch({ call: callAs }: Pick<Somebody, 'call'>): Promise<Watching> {
  return watchingOf(await callAs('GET', '/admin/live', UPGRADE));
}

/** Whether isolates are told that somebody watches. */
async function liveUntil(): Promise<number | null> {
  const answer = await poolOf(env).snapshot(null);
  return answer.live?.until ?? null;
}

async function socketsOfObject(): Promise<number> {
  return runInDurableObject(stub, (_object, ctx) => ctx.getWebSockets().length);
}

/** Looks again until nothing is wrong any more; unlike vitest's own, it moves no fake date. */
async function eventually(look: () => unknown): Promise<void> {
  for (let looks = 0; looks < 200; looks += 1) {
    try {
      return void (await look());
    } catch {
      await scheduler.wait(5);
    }
  }
  await look();
}

afterEach(async () => {
  for (const socket of open) socket.close();
  open = [];
  await eventually(async () => {
    if ((await socketsOfObject()) > 0) throw new Error('a socket is still open');
  });
});

describe('a socket', () => {
  it('is opened for admins, viewers and tokens that may read requests', async () => {
    const [admin, viewer] = [
      await newPerson({ role: 'admin' }),
      await newPerson({ role: 'viewer' }),
    ];
    const token = await newServiceToken(['read:requests']);
    for (const who of [admin, viewer, { call: withBearer(token) }]) await watch(who);
    expect(await socketsOfObject()).toBe(3);
  });

  it('is opened for nobody else', async () => {
    const user = await newPerson();
    const { key } = await newApiKey(user);
    const other = await newServiceToken(['read:users']);
    const refused = [
      await user.call('GET', '/admin/live', UPGRADE),
      await call('GET', '/admin/live', UPGRADE),
      await withBearer(key)('GET', '/admin/live', UPGRADE),
      await withBearer(other)('GET', '/admin/live', UPGRADE),
    ];
    expect(refused.map(({ status, webSocket }) => [status, webSocket])).toEqual([
      [403, null],
      [401, null],
      [401, null],
      [403, null],
    ]);
    expect(await socketsOfObject()).toBe(0);
  });

  it('is opened for no page of another origin, whatever its cookies', async () => {
    const { token } = await newPerson({ role: 'admin' });
    const cookie = `__Host-access=${token}`;
    for (const more of [{ origin: 'https://evil.example' }, { origin: 'null' }, {}]) {
      const headers = { ...UPGRADE.headers, cookie, ...more };
      const response = await call('GET', '/admin/live', { headers });
      expect([response.status, await codeOf(response)]).toEqual([403, 'origin-not-allowed']);
    }
    const headers = { ...UPGRADE.headers, cookie, origin: ORIGIN };
    watchingOf(await call('GET', '/admin/live', { headers }));
    expect(await socketsOfObject()).toBe(1);
  });

  it('is what this address gives, and nothing else', async () => {
    const admin = await newPerson({ role: 'admin' });
    expect(await codeOf(await admin.call('GET', '/admin/live'))).toBe('not-valid');
  });

  it('is refused to the hundred-and-first', async () => {
    const admin = await newPerson({ role: 'admin' });
    for (let count = 0; count < 100; count += 1) await watch(admin);
    const response = await admin.call('GET', '/admin/live', UPGRADE);
    expect([response.status, await codeOf(response)]).toEqual([503, 'viewers-full']);
  });
});

describe('what isolates tell', () => {
  it('reaches everybody who watches, also when the object has slept meanwhile', async () => {
    const viewer = await newPerson({ role: 'viewer' });
    const [one, other] = [await watch(viewer), await watch(viewer)];
    await liveOf(env).tell(MESSAGE);
    await evictDurableObject(stub);
    await liveOf(env).tell({ ...MESSAGE, sampled: null });
    const expected = [MESSAGE, { ...MESSAGE, sampled: null }].map((said) => JSON.stringify(said));
    await eventually(() => expect([one.heard, other.heard]).toEqual([expected, expected]));
  });

  it('goes nowhere when nobody watches, or who did has gone', async () => {
    const viewer = await newPerson({ role: 'viewer' });
    const gone = await watch(viewer);
    gone.socket.close();
    await eventually(async () => expect(await socketsOfObject()).toBe(0));
    await liveOf(env).tell(MESSAGE);
    expect(gone.heard).toEqual([]);
  });

  it('is all that is said: a ping is answered, anything else ends it', async () => {
    const viewer = await newPerson({ role: 'viewer' });
    const { socket, heard, closed } = await watch(viewer);
    socket.send('ping');
    await eventually(() => expect(heard).toEqual(['pong']));
    socket.send('{"stop":"req_1"}');
    expect(await closed).toBe(1008);
  });
});

describe('the word that somebody watches', () => {
  it('reaches isolates with the first viewer and is taken back with the last', async () => {
    const viewer = await newPerson({ role: 'viewer' });
    expect(await liveUntil()).toBeNull();
    const [one, other] = [await watch(viewer), await watch(viewer)];
    await eventually(async () => expect(await liveUntil()).toBe(Date.now() + 90_000));
    one.socket.close();
    await eventually(async () => expect(await socketsOfObject()).toBe(1));
    expect(await liveUntil()).not.toBeNull();
    other.socket.close();
    await eventually(async () => expect(await liveUntil()).toBeNull());
  });

  it('outlives the Pool’s sleep, and is said again every half minute', async () => {
    await watch(await newPerson({ role: 'viewer' }));
    await eventually(async () => expect(await liveUntil()).not.toBeNull());
    await evictDurableObject(env.POOL.get(env.POOL.idFromName('pool')));
    expect(await liveUntil()).toBe(Date.now() + 90_000);
    later(30_000);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await liveUntil()).toBe(Date.now() + 90_000);
    const next = await runInDurableObject(stub, (_object, ctx) => ctx.storage.getAlarm());
    expect(next).toBe(Date.now() + 30_000);
  });

  it('ends by itself when the object that said it is gone', async () => {
    await watch(await newPerson({ role: 'viewer' }));
    await eventually(async () => expect(await liveUntil()).not.toBeNull());
    later(89_999);
    expect(await liveUntil()).not.toBeNull();
    later(1);
    expect(await liveUntil()).toBeNull();
  });
});

describe('who may no longer watch', () => {
  it.each([
    ['has logged out', 'UPDATE sessions SET ended_at = 1 WHERE id = ?2'],
    ['whose login has run out', 'UPDATE sessions SET expires_at = 1 WHERE id = ?2'],
    ['is an ordinary user now', "UPDATE users SET role = 'user' WHERE id = ?1"],
    ['is suspended', "UPDATE users SET status = 'suspended' WHERE id = ?1"],
  ])('because he or she %s is shown out by the next alarm, alone', async (_, sql) => {
    const [stays, goes] = [await newPerson({ role: 'viewer' }), await newPerson({ role: 'admin' })];
    const [staying, going] = [await watch(stays), await watch(goes)];
    await env.DB.prepare(`${sql} AND ?1 <> ?2`).bind(goes.userId, goes.sessionId).run();
    await runDurableObjectAlarm(stub);
    expect(await going.closed).toBe(4401);
    await liveOf(env).tell(MESSAGE);
    await eventually(() => expect(staying.heard).toHaveLength(1));
    expect(going.heard).toEqual([]);
  });

  it('keeps the sockets of another login', async () => {
    const admin = await newPerson({ role: 'admin' });
    const again = await newSession(admin.userId, 'admin');
    const [going, staying] = [await watch(admin), await watch(again)];
    await env.DB.prepare('UPDATE sessions SET ended_at = 1 WHERE id = ?')
      .bind(admin.sessionId)
      .run();
    await runDurableObjectAlarm(stub);
    expect(await going.closed).toBe(4401);
    expect(staying.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('has a token that was revoked', async () => {
    const watching = await watch({ call: withBearer(await newServiceToken(['read:requests'])) });
    await runDurableObjectAlarm(stub);
    expect(await socketsOfObject()).toBe(1);
    await env.DB.exec('UPDATE service_tokens SET revoked_at = 1');
    await runDurableObjectAlarm(stub);
    expect(await watching.closed).toBe(4401);
  });

  it('is not known while D1 is down: nobody goes for five minutes, everybody after', async () => {
    const watching = await watch(await newPerson({ role: 'admin' }));
    vi.spyOn(env.DB, 'withSession').mockImplementation(() => {
      throw new Error('down');
    });
    later(300_000);
    await runDurableObjectAlarm(stub);
    expect(watching.socket.readyState).toBe(WebSocket.OPEN);
    later(1);
    await runDurableObjectAlarm(stub);
    expect(await watching.closed).toBe(4401);
  });
});
