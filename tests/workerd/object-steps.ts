// One step of a simulated wallet: a client, the relay, an admin, the cron, an alarm or bad luck
// does something. Chance is the seed's. How calls fail is object-world.ts.

import type { AccountId } from '../../workers/domain/ids';
import type { AdmitCall, SettleCall } from '../../workers/domain/ledger/calls';
import { nanos } from '../../workers/domain/money';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../workers/domain/time';
import type { Usage } from '../../workers/domain/usage/tokens';
import { NO_TOKENS } from '../../workers/domain/usage/tokens';
import {
  accountOf,
  admitCall,
  creditCall,
  extendCall,
  idOf,
  MODEL,
  progressCall,
  settleCall,
  voidCall,
} from '../support/ledger';
import type { Line, Sent, Truth } from './object-book';
import { isOpen, newLine } from './object-book';
import { change, cron, keepLate, push } from './object-keys';
import { race } from './object-race';
import type { Fault, World } from './object-world';
import { alarm, anyFault, evict, oneOf, pass, send } from './object-world';
import { copyDatabase, database, quietly, restoreDatabase } from './unlucky-database';

const SKEW_MS = 5 * MINUTE_MS;
/** Calls without a row number are found by id for ten minutes; no client repeats one later. */
const REPEATED_MS = 8 * MINUTE_MS;
const INPUT_NANOS_PER_TOKEN = 4_000;
const OUTPUT_NANOS_PER_TOKEN = 20_000;
const CLOSINGS = ['completed', 'cut-by-credit', 'cut-by-limit', 'revoked', 'stopped'] as const;

/** What happens next. */
export async function act(world: World): Promise<void> {
  const { random, live } = world;
  passTime(world);
  if (random() < 0.08) database.luck = anyLuck(world);
  // As if so many had been closed since the last checkpoint: the next closing writes one.
  if (random() < 0.1 && live.state !== null) live.state.closedSinceCheckpoint = 499;
  const dice = random();
  if (dice < 0.22) await begin(world);
  else if (dice < 0.6) await client(world);
  else if (dice < 0.64) await send(world, credit(world));
  else if (dice < 0.73) await wake(world);
  else if (dice < 0.8) await again(world);
  else if (dice < 0.86) await race(world, { begin: () => admission(world), call: anyCall(world) });
  else if (dice < 0.92) await administer(world);
  else if (dice < 0.94) await cron(world, anyFault(world));
  else if (dice < 0.97) await takeBack(world);
  else await evict(world);
}

/** Mostly seconds, sometimes hours; a machine's clock may be five minutes off either way. */
function passTime(world: World): void {
  const { random } = world;
  if (random() < 0.05) world.skewMs = Math.floor((random() * 2 - 1) * SKEW_MS);
  pass(world, random() < 0.02 ? random() * 3 * HOUR_MS : random() * 8 * SECOND_MS);
}

function anyLuck({ random }: World): typeof database.luck {
  const dice = random();
  if (dice < 0.5) return 'up';
  return dice < 0.8 ? 'down' : 'replies-lost';
}

/** A new request; its admit may be slow, so that what follows comes first. */
async function begin(world: World): Promise<void> {
  const { random, waiting } = world;
  const sent = admission(world);
  if (random() < 0.9) {
    await send(world, sent);
    return;
  }
  waiting.push(sent);
  const { keyId, requestId } = sent.call;
  await send(world, { do: 'settle', line: sent.line, call: voidCall(keyId, requestId) });
}

/** A request that no other of the wallet is. */
export function admission(world: World): Extract<Sent, { do: 'admit' }> {
  const { random, lines, keys, owner, seed } = world;
  const call = admitCall(oneOf(world, keys) ?? owner.keyId, idOf('request', nameOf(seed, lines)));
  const sizes = {
    ...call.sizes,
    stream: random() < 0.7,
    textBytes: Math.floor(random() * 8_000),
    maxTokens: Math.floor(random() * 4_000),
  };
  const conversation = random() < 0.4 ? null : `talk-${Math.floor(random() * 4)}`;
  // One that knows newer prices than there are has Pool asked for them, so that its admit waits.
  const pricesVersion = random() < 0.05 ? Number.MAX_SAFE_INTEGER : null;
  const named = anyNames(world);
  const asked = { ...call, sizes, conversation, pricesVersion, heldIds: named.heldIds };
  const line = newLine(asked, named.holder);
  lines.push(line);
  return { do: 'admit', line, call: line.call };
}

/**
 * Some name what closed requests have made, of one account or of two. What nobody made is named
 * only while nothing runs that could be waited for.
 */
function anyNames(world: World): Pick<AdmitCall, 'heldIds'> & Pick<Line, 'holder'> {
  const { random, lines, live } = world;
  if (random() < 0.6) return { heldIds: [], holder: null };
  if (random() < 0.1 && live.state?.open.size === 0) {
    return { heldIds: [{ field: 'file_id', id: 'file_of_nobody' }], holder: 'none' };
  }
  const made = lines.flatMap(({ row }) => {
    const { accountId = null, heldIds = [], messageId } = row?.closed ?? {};
    const ids = messageId === undefined ? heldIds : [...heldIds, messageId];
    return accountId === null ? [] : ids.map((id) => ({ accountId, id }));
  });
  const named = [oneOf(world, made), oneOf(world, made)].filter((each) => each !== undefined);
  const holders = new Set(named.map(({ accountId }) => accountId));
  const [holder = null] = holders;
  const heldIds = named.map(({ id }) => ({ field: 'file_id', id }));
  return { heldIds, holder: holders.size > 1 ? 'none' : holder };
}

/** The same however often its closing is told. */
function accountFor({ owner, lines }: World, line: Line): AccountId {
  return accountOf(owner, lines.indexOf(line) % 2);
}

/** Its own file and message; of a container of the account it says so again. */
function madeBy({ random }: World, line: Line, accountId: AccountId): Partial<SettleCall> {
  if (random() < 0.3) return {};
  const { requestId } = line.call;
  const messageId = `msg_${requestId}`;
  const others = random() < 0.5 ? [] : [`file_${requestId}`, `container_of_${accountId}`];
  return { messageId, heldIds: [messageId, ...others] };
}

function nameOf(seed: number, lines: readonly Line[]): number {
  return seed * 1_000 + lines.length;
}

/** A client, or the relay for it, goes on with one of the wallet's requests. */
async function client(world: World): Promise<void> {
  const sent = anyCall(world)();
  if (sent === null) return;
  if (sent.do === 'settle' && world.random() < 0.08) await keepLate(world, sent);
  else await send(world, sent);
}

function anyCall(world: World): () => Exclude<Sent, { do: 'credit' }> | null {
  return () => {
    const open = world.lines.filter((line) => isOpen(line));
    const line = oneOf(world, world.random() < 0.85 ? open : world.lines);
    return line === undefined ? null : callFor(world, line);
  };
}

function callFor(world: World, line: Line): Exclude<Sent, { do: 'credit' }> | null {
  const { random } = world;
  const { requestId, keyId } = line.call;
  const dice = random();
  if (dice < 0.08) return isFresh(world, line) ? { do: 'admit', line, call: line.call } : null;
  if (dice < 0.13 && isFresh(world, line)) {
    return { do: 'settle', line, call: voidCall(keyId, requestId) };
  }
  if (line.lease === null || line.row === null) return null;
  const truth = truthOf(world, line);
  const named = { seq: line.lease.seq, requestId };
  if (dice < 0.34) {
    truth.n += 1;
    const inputNanos = nanos(truth.inputTokens * INPUT_NANOS_PER_TOKEN);
    const isSilent = random() < 0.2;
    const input = !isSilent && random() < 0.7 ? { inputNanos } : {};
    const n = Math.max(1, truth.n - Math.floor(random() * 3));
    const dispatched = random() < 0.85;
    const account = { usage: usageOf(truth), accountId: accountFor(world, line) };
    const told = isSilent || random() < 0.5 ? {} : account;
    const costNanos = isSilent ? nanos(0) : costOf(truth);
    return {
      do: 'progress',
      line,
      call: progressCall(named, { n, costNanos, dispatched, ...input, ...told }),
    };
  }
  if (dice < 0.52) {
    truth.output = outputOf(world, line, truth);
    return {
      do: 'extend',
      line,
      call: extendCall(named, line.upTo + Math.floor(random() * 2_000)),
    };
  }
  if (dice < 0.55) return { do: 'stop', line, call: null };
  return { do: 'settle', line, call: settlement(world, line, truth) };
}

/** Whether a call that names no row would still be known for a repeat. */
function isFresh({ highest }: World, { row }: Line): boolean {
  const closedAt = row?.outcome?.closedAt;
  return closedAt === undefined || highest - closedAt < REPEATED_MS;
}

/** What the upstream counts of it: in a tame world never more than was held for it. */
function truthOf({ random, isTame }: World, line: Line): Truth {
  if (line.truth !== null) return line.truth;
  const hold = line.row?.hold;
  const affordable = Math.floor((hold?.parts.inputNanos ?? 0) / INPUT_NANOS_PER_TOKEN);
  const most = isTame ? Math.min(hold?.inputTokens ?? 0, affordable) : (hold?.inputTokens ?? 0) * 2;
  line.truth = { inputTokens: Math.floor(random() * most), output: 0, n: 0 };
  return line.truth;
}

/** Some more output, in a tame world never beyond what is held. */
function outputOf({ random, isTame }: World, { upTo }: Line, { output }: Truth): number {
  const most = isTame ? upTo : upTo * 2 + 500;
  return output + Math.floor(random() * Math.max(0, most - output + 1));
}

function costOf({ inputTokens, output }: Truth) {
  return nanos(inputTokens * INPUT_NANOS_PER_TOKEN + output * OUTPUT_NANOS_PER_TOKEN);
}

function usageOf({ inputTokens, output }: Truth): Usage {
  // What is read and written costs less than as much plain input.
  const written = inputTokens % 3 === 0 ? 0 : Math.floor(inputTokens / 4);
  const read = written * 2;
  const cached = { cacheWrite5m: written, cacheRead: read };
  const counts = { ...NO_TOKENS, input: inputTokens - written - read, ...cached, output };
  const terms = { speed: null, geo: null, tier: null };
  return { entries: [{ model: MODEL, counts, terms }], flags: [] };
}

function settlement(world: World, line: Line, truth: Truth): SettleCall {
  const { random } = world;
  truth.output = outputOf(world, line, truth);
  const { requestId, keyId } = line.call;
  const seq = random() < 0.8 || !isFresh(world, line) ? (line.lease?.seq ?? null) : null;
  const named = { seq, requestId, keyId };
  const admittedAt = line.lease?.admittedAt ?? null;
  const accountId = accountFor(world, line);
  const made = madeBy(world, line, accountId);
  const facts = { admittedAt, accountId, timings: timings(world), ...made, ...attempts(world) };
  const dice = random();
  if (dice < 0.15) {
    return settleCall(named, { ...facts, closing: 'upstream-refused', costNanos: nanos(0) });
  }
  const usage = usageOf(truth);
  if (dice < 0.4) {
    // What is estimated may fall short of what is reported later.
    const costNanos = nanos(Math.floor(costOf(truth) * random()));
    const closing = random() < 0.5 ? 'client-left' : 'upstream-failed';
    return settleCall(named, { ...facts, closing, certainty: 'estimated', costNanos, usage });
  }
  const closing = oneOf(world, CLOSINGS) ?? 'completed';
  return settleCall(named, { ...facts, closing, costNanos: costOf(truth), usage });
}

function attempts({ random, owner }: World): Partial<SettleCall> {
  const accountNanos = random() < 0.5 ? {} : { accountNanos: nanos(Math.floor(random() * 1e6)) };
  if (random() < 0.7) return accountNanos;
  const lost = { accountId: accountOf(owner, 1), status: null, outcome: 'timeout', durationMs: 9 };
  const absorbedNanos = nanos(1 + Math.floor(random() * 1e6));
  return { ...accountNanos, attempts: [{ ...lost, absorbedNanos }] };
}

function timings({ random }: World): SettleCall['timings'] {
  const firstByteMs = random() < 0.2 ? null : Math.floor(random() * 3_000);
  return { admitMs: 1, firstByteMs, totalMs: Math.floor(random() * 60_000) };
}

function credit(world: World): Sent {
  const { random } = world;
  const id = `txn_${world.owner.walletId}_${Math.floor(random() * 20)}`;
  const known = world.credits.get(id) ?? world.unsure.get(id);
  const isTaken = random() < 0.1;
  const amount = known ?? Math.floor((isTaken ? -1 : 3) * random() * 1e8);
  const kind = amount < 0 ? 'adjust' : 'grant';
  return { do: 'credit', call: creditCall(id, { kind, amountNanos: nanos(amount) }) };
}

/** The alarm: early, in time or late; once, twice, or twice at once. */
async function wake(world: World): Promise<void> {
  const { random } = world;
  if (random() < 0.7) pass(world, 66 * SECOND_MS);
  if (random() < 0.05) pass(world, random() * HOUR_MS);
  await alarm(world, alarmFault(world), random() < 0.1 ? 2 : 1);
  if (random() < 0.2 || world.isAlarmOwed) await alarm(world, alarmFault(world));
}

function alarmFault(world: World): Fault {
  const { random } = world;
  if (random() < 0.2) return { at: 'database', when: random() < 0.5 ? 'before' : 'after' };
  const fault = anyFault(world);
  return fault !== null && 'call' in fault ? { ...fault, call: fault.call * 2 } : fault;
}

/** A call whose answer never came, or that was slow, comes once more. */
async function again(world: World): Promise<void> {
  const { random, waiting } = world;
  const [sent] = waiting.splice(Math.floor(random() * waiting.length), 1);
  if (sent === undefined) return;
  const isNamed = sent.do === 'credit' || (sent.do === 'settle' && sent.call.seq !== null);
  if (isNamed || sent.do === 'progress' || sent.do === 'extend' || isFresh(world, sent.line)) {
    await send(world, sent);
  }
}

async function administer(world: World): Promise<void> {
  const { random } = world;
  await change(world, random() < 0.3 ? 2 : 1);
  if (random() < 0.7) await push(world, anyFault(world));
}

/** D1 is copied, or is put back to what it was when it was copied. */
async function takeBack(world: World): Promise<void> {
  const { random, earlier } = world;
  await quietly(async () => {
    const copy = oneOf(world, earlier);
    if (copy === undefined || random() < 0.5) earlier.push(await copyDatabase(world));
    else await restoreDatabase(world, copy);
  });
}
