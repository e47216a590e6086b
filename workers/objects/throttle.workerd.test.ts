import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { later, useFakeDate } from '../../tests/workerd/fake-date';
import type { SubjectKind } from '../domain/throttle/delay';
import type { Attempt } from '../domain/throttle/calls';
import { sha256 } from '../platform/digest';
import { throttleOf } from '../platform/objects';

useFakeDate();

let count = 0;

async function newSubject() {
  count += 1;
  const subject = await sha256(`somebody ${count}`);
  const stub = throttleOf(env, subject);
  const attempt = (kind: SubjectKind = 'name') => stub.attempt({ subject, kind });
  return {
    subject,
    stub: env.THROTTLE.get(env.THROTTLE.idFromName(subject.slice(0, 1))),
    attempt,
    /** Ms to wait; 0: the attempt was taken. */
    wait: async (kind: SubjectKind = 'name') => {
      const answer = await attempt(kind);
      return answer.ok ? 0 : answer.error.retryAfterMs;
    },
    taken: async (): Promise<Attempt> => {
      const answer = await attempt();
      if (!answer.ok) throw new Error('not allowed');
      return answer.value;
    },
    giveBack: (taken: Attempt) => stub.giveBack({ subject, ...taken }),
  };
}

async function rowsOf({ stub, subject }: Awaited<ReturnType<typeof newSubject>>) {
  return runInDurableObject(stub, (_object, { storage }) =>
    storage.sql
      .exec<{ count: number }>('SELECT count FROM failures WHERE subject = ?', subject)
      .toArray(),
  );
}

describe('attempts of one subject', () => {
  it('are free three times, and then wait longer and longer', async () => {
    const somebody = await newSubject();
    const waits: number[] = [];
    for (let tries = 0; tries < 7; tries += 1) {
      const wait = await somebody.wait();
      waits.push(wait);
      later(wait);
      if (wait > 0) expect(await somebody.wait()).toBe(0);
    }
    expect(waits).toEqual([0, 0, 0, 1_000, 2_000, 4_000, 8_000]);
  });

  it('that come at once are let through as often as one after the other', async () => {
    const somebody = await newSubject();
    const waits = await Promise.all(Array.from({ length: 50 }, () => somebody.wait()));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(3);
    expect(waits.filter((wait) => wait > 0)).toEqual(Array.from({ length: 47 }, () => 1_000));
  });

  it('that are refused do not make the wait longer', async () => {
    const somebody = await newSubject();
    for (let tries = 0; tries < 3; tries += 1) await somebody.attempt();
    for (let tries = 0; tries < 20; tries += 1) expect(await somebody.wait()).toBe(1_000);
    later(1_000);
    expect(await somebody.wait()).toBe(0);
  });

  it('that are given back never were', async () => {
    const somebody = await newSubject();
    for (let tries = 0; tries < 10; tries += 1) await somebody.giveBack(await somebody.taken());
    expect(await somebody.wait()).toBe(0);
    later(10);
    await somebody.attempt();
    later(10);
    await somebody.giveBack(await somebody.taken());
    later(10);
    const last = await somebody.taken();
    expect(await somebody.wait()).toBe(1_000);
    await somebody.giveBack(last);
    expect(await somebody.wait()).toBe(0);
  });

  it('that are given back late leave the time of the one after them', async () => {
    const somebody = await newSubject();
    const early = await somebody.taken();
    for (let tries = 0; tries < 2; tries += 1) await somebody.attempt();
    later(1_000);
    await somebody.attempt();
    await somebody.giveBack(early);
    expect(await somebody.wait()).toBe(1_000);
  });

  it('wait half a minute at most by name, a quarter of an hour by address', async () => {
    const somebody = await newSubject();
    for (let tries = 0; tries < 30; tries += 1) {
      await somebody.attempt();
      later(30_000);
    }
    expect(await somebody.wait()).toBe(0);
    expect(await somebody.wait()).toBe(30_000);
    expect(await somebody.wait('address')).toBe(900_000);
  });
});

describe('what is kept', () => {
  it('is nothing below three failures, and survives the object beyond', async () => {
    const [few, many] = [await newSubject(), await newSubject()];
    for (let tries = 0; tries < 2; tries += 1) await few.attempt();
    for (let tries = 0; tries < 4; tries += 1) await many.attempt();
    expect([await rowsOf(few), await rowsOf(many)]).toEqual([[], [{ count: 3 }]]);
    await evictDurableObject(few.stub);
    await evictDurableObject(many.stub);
    expect(await few.wait()).toBe(0);
    expect(await many.wait()).toBe(1_000);
  });

  it('goes when an attempt is given back, and by the alarm after an hour', async () => {
    const somebody = await newSubject();
    for (let tries = 0; tries < 2; tries += 1) await somebody.attempt();
    const third = await somebody.taken();
    expect(await rowsOf(somebody)).toEqual([{ count: 3 }]);
    await somebody.giveBack(third);
    expect(await rowsOf(somebody)).toEqual([]);
    await somebody.attempt();
    later(3_599_999);
    await runDurableObjectAlarm(somebody.stub);
    expect(await rowsOf(somebody)).toEqual([{ count: 3 }]);
    later(1);
    await runDurableObjectAlarm(somebody.stub);
    expect(await rowsOf(somebody)).toEqual([]);
    for (let tries = 0; tries < 3; tries += 1) expect(await somebody.wait()).toBe(0);
  });
});
