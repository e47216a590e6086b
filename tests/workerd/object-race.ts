// Several things that happen to a simulated wallet's object at once: requests, pushes of changed
// keys, the alarm. Which comes first is not known, so the book allows for each order.

import { runInDurableObject } from 'cloudflare:test';
import type { Copy } from '../../workers/domain/ledger/copies';
import type { Sent } from './object-book';
import { LOST, note } from './object-book';
import { acknowledge } from './object-keys';
import type { World } from './object-world';
import {
  anyFault,
  attempt,
  calling,
  ledgerIn,
  learn,
  noteAlarm,
  oneOf,
  stubOf,
} from './object-world';

type Call = Exclude<Sent, { do: 'credit' }>;

/** What can run at once: new requests, and calls for those that run. */
interface Runners {
  readonly begin: () => Call;
  readonly call: () => Call | null;
}

export async function race(world: World, runners: Runners): Promise<void> {
  const { random } = world;
  const calls = anyCalls(world, runners);
  const copies = random() < 0.4 ? anyCopies(world) : [];
  const withAlarm = random() < 0.4;
  const fault = anyFault(world);
  let hasFailed = false;
  const answers: unknown[] = [];
  const one = async (action: () => Promise<unknown>): Promise<unknown> =>
    action().catch((error: unknown) => {
      hasFailed = true;
      problem ??= error;
      return LOST;
    });
  let problem: unknown = null;
  let applied: unknown = null;
  await attempt(world, fault, async () => {
    const all = await Promise.all([
      withAlarm ? one(async () => alarmOf(world)) : null,
      copies.length > 0 ? one(async () => ledgerIn(world).apply(copies)) : null,
      ...calls.map(async (sent) => one(async () => calling(world, sent))),
    ]);
    [, applied] = all;
    answers.push(...all.slice(2));
    // A failure without a crash is a failure of the object.
    if (hasFailed) throw problem;
  });
  if (withAlarm) {
    world.isAlarmOwed ||= hasFailed;
    noteAlarm(world, { isSure: false, reached: 0 });
  }
  if (copies.length > 0 && applied !== LOST) {
    for (const { id, version } of copies) acknowledge(world, id, version);
  }
  calls.forEach((sent, index) => {
    const answer = fault?.at === 'reply' ? LOST : answers[index];
    note(sent, answer);
    if (answer === LOST) world.waiting.push(sent);
    else learn(sent, answer);
  });
}

/** Two to five, no two of one request but that the first may come twice. */
function anyCalls({ random }: World, { begin, call }: Runners): readonly Call[] {
  const calls: Call[] = [];
  for (let tries = 2 + Math.floor(random() * 4); tries > 0; tries -= 1) {
    const sent = random() < 0.6 ? begin() : call();
    if (sent !== null && calls.every(({ line }) => line !== sent.line)) calls.push(sent);
  }
  const [first] = calls;
  return first !== undefined && random() < 0.3 ? [...calls, first] : calls;
}

/** Copies as the database has them or had them, newest or not. */
function anyCopies(world: World): readonly Copy[] {
  const versions = oneOf(world, [...world.history.values()]);
  const document = oneOf(world, [...(versions?.values() ?? [])]);
  // Written from a Copy.
  return document === undefined ? [] : [JSON.parse(document) as Copy];
}

async function alarmOf(world: World): Promise<void> {
  await runInDurableObject(stubOf(world), async (object, { storage }) => {
    void storage.deleteAlarm();
    await object.alarm();
  });
}
