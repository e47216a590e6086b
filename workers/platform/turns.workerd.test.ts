import { describe, expect, it } from 'vitest';
import { inTurn, WAITING_MAX } from './turns';

describe('a line of turns', () => {
  it('lets one at a time work, in the order in which they came', async () => {
    let working = 0;
    const order: number[] = [];
    const work = (number: number) => async () => {
      working += 1;
      order.push(number);
      await scheduler.wait(1);
      expect(working).toBe(1);
      working -= 1;
      return number;
    };
    const numbers = Array.from({ length: WAITING_MAX + 1 }, (_, number) => number);
    const given = await Promise.all(numbers.map((number) => inTurn(work(number))));
    expect(given).toEqual(numbers);
    expect(order).toEqual(numbers);
  });

  it('turns away whoever comes when eight wait, and nobody afterwards', async () => {
    const tries = Array.from({ length: 12 }, () => inTurn(async () => 'done'));
    const given = await Promise.all(tries);
    expect(given.filter((one) => one === 'done')).toHaveLength(9);
    expect(given.slice(9)).toEqual([null, null, null]);
    expect(await inTurn(async () => 'done')).toBe('done');
  });

  it('goes on when a turn fails', async () => {
    const failing = inTurn(async () => Promise.reject(new Error('no')));
    const next = inTurn(async () => 'done');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('done');
  });

  it('lets timers of others come between two turns', async () => {
    const seen: string[] = [];
    const turns = [1, 2, 3].map((number) =>
      inTurn(async () => {
        seen.push(`turn ${number}`);
        // As a hash does: the processor for itself, longer than any timer here.
        for (let n = 0; n < 3e7; n += 1) Math.sqrt(n);
      }),
    );
    let isOver = false;
    const ticking = (async () => {
      while (!isOver) {
        await scheduler.wait(1);
        seen.push('tick');
      }
    })();
    await Promise.all(turns);
    isOver = true;
    await ticking;
    const between = (from: string, to: string) =>
      seen.slice(seen.indexOf(from), seen.indexOf(to)).includes('tick');
    expect([between('turn 1', 'turn 2'), between('turn 2', 'turn 3')]).toEqual([true, true]);
  });
});
