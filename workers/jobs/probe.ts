// Looks after accounts that are out, or whose breakers are half open, while nobody else does: the
// smallest real call with each, by a permit as everybody needs one, and what came of it told to the
// Pool. It repairs nothing, and what holds an account back is the failure table's to say.

import type { Mark, PermitAnswer, ProbeResult, Subject } from '../domain/health/calls';
import type { DueProbe } from '../domain/health/probes';
import { dueProbes } from '../domain/health/probes';
import { findPrice } from '../domain/pricing/find';
import type { Reply, Verdict } from '../domain/scheduling/failure';
import { markOf, retryAfterMsOf, statusOfErrorType, verdictOn } from '../domain/scheduling/failure';
import type { Snapshot } from '../domain/snapshot';
import { providerOf } from '../domain/snapshot';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { base64url } from '../platform/base64';
import { configOf } from '../platform/env';
import type { Config } from '../platform/env';
import { poolOf } from '../platform/objects';
import { randomBytes } from '../platform/random';
import type { Credential } from '../platform/seal';
import { unseal } from '../platform/seal';
import type { TrialAnswer, TrialFailure } from '../upstreams/trial';
import { tryUpstream } from '../upstreams/trial';

/** In one minute; beyond them accounts take turns. */
const PROBES_MAX = 60;
/** A Worker has six connections at a time. */
const AT_ONCE = 6;
const TIMEOUT_MS = 10 * SECOND_MS;
const ISOLATE_BYTES = 12;

/** What one probe has shown. */
interface Shown {
  readonly marks: readonly Mark[];
  readonly probes: readonly ProbeResult[];
}

/** One round. `now` in Unix ms. Throws as the Pool does. */
export async function probeAccounts(env: Env, now: number): Promise<void> {
  const config = configOf(env);
  if (!config.ok) return;
  const answer = await poolOf(env).snapshot(null, null);
  if (!answer.ok || answer.value === 'unchanged') return;
  const due = turnOf(dueIn(answer.value, answer.health?.marks ?? [], now), now);
  const isolate = base64url(randomBytes(ISOLATE_BYTES));
  for (let first = 0; first < due.length; first += AT_ONCE) {
    const some = due.slice(first, first + AT_ONCE);
    const shown = await Promise.all(
      some.map(async (probe) => tryOne(env, { probe, isolate, config: config.value })),
    );
    const marks = shown.flatMap((one) => one.marks);
    const probes = shown.flatMap((one) => one.probes);
    if (probes.length === 0) continue;
    const n = first + 1;
    const nothing = { tallies: [], inFlight: {}, healthVersion: null };
    await poolOf(env).report({ isolate, n, marks, probes, ...nothing });
  }
}

function dueIn({ accounts, catalogue }: Snapshot, marks: readonly Mark[], now: number) {
  const models = [...new Set(catalogue.rows.map(({ model }) => model))];
  const prices = models.flatMap((model) => findPrice(catalogue, model, now) ?? []);
  return dueProbes({ accounts, marks, prices, now });
}

/** So many of them, from another place each minute. */
function turnOf(due: readonly DueProbe[], now: number): readonly DueProbe[] {
  if (due.length <= PROBES_MAX) return due;
  const begin = (Math.floor(now / MINUTE_MS) * PROBES_MAX) % due.length;
  return [...due.slice(begin), ...due.slice(0, begin)].slice(0, PROBES_MAX);
}

async function tryOne(
  env: Env,
  given: { readonly probe: DueProbe; readonly isolate: string; readonly config: Config },
): Promise<Shown> {
  const { probe, isolate, config } = given;
  const { account, model, kind, subjects } = probe;
  const { masterKeys, environment } = config;
  const call = { isolate, kind, accountId: account.id, subjects };
  const permit: PermitAnswer = await poolOf(env).permit(call);
  if (!permit.granted) return { marks: [], probes: [] };
  const credential: Credential | null = await unseal(account.credential, {
    masterKeys,
    accountId: account.id,
  }).catch(() => null);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer =
    credential === null
      ? null
      : await tryUpstream({ account, credential, model, environment, signal });
  return shownBy(answer, probe, permit.permit);
}

function shownBy(answer: TrialAnswer | null, probe: DueProbe, permit: string): Shown {
  const now = Date.now();
  const { account, model, family, subjects } = probe;
  const reply = answer === null ? replyThat('credential') : replyOf(answer, now);
  // What could not even be asked tells nothing.
  if (reply === null) return { marks: [], probes: [{ permit, isGood: null }] };
  const verdict = verdictOn(reply);
  const provider = providerOf(account);
  const mark = markOf(verdict, reply, {
    accountId: account.id,
    family,
    model,
    provider,
    colo: null,
    now,
  });
  const isGood = isGoodFor(subjects, verdict, mark);
  return { marks: mark === null ? [] : [mark], probes: [{ permit, isGood }] };
}

/** null: the answer tells nothing of what held the account back. */
function isGoodFor(
  subjects: readonly Subject[],
  { counts }: Verdict,
  mark: Mark | null,
): boolean | null {
  if (counts === 'success') return true;
  if (counts !== 'none' || mark?.subject.of === 'account') return false;
  // An account that refuses a model, or has had enough for now, knows who asks.
  return subjects.every(({ of }) => of === 'account') ? true : null;
}

function replyThat(how: Reply['how']): Reply {
  return { how, status: null, type: null, code: null, message: '', retryAfterMs: null };
}

/** null: the call could not be made from here. */
function replyOf({ status, failure, headers, text }: TrialAnswer, now: number): Reply | null {
  const how = howOf(failure);
  if (how === null) return null;
  if (how !== 'answered') return { ...replyThat(how), status };
  const body = jsonOf(text);
  const error = fieldOf(body, 'error');
  const type = textOf(fieldOf(error, 'type'));
  const isFine = status !== null && status < 300;
  if (isFine && typeof body !== 'object') return { ...replyThat('unreadable'), status };
  return {
    how,
    // Some say 200 and mean an error.
    status: isFine && type !== null ? statusOfErrorType(type) : status,
    type,
    code: textOf(fieldOf(fieldOf(error, 'details'), 'error_code')),
    message: textOf(fieldOf(error, 'message')) ?? '',
    retryAfterMs: retryAfterMsOf(headers, now),
  };
}

function howOf(failure: TrialFailure | null): Reply['how'] | null {
  switch (failure) {
    case null:
      return 'answered';
    case 'address-not-allowed':
      return 'address';
    case 'request':
      return null;
    case 'credential':
    case 'redirect':
    case 'timeout':
    case 'token-refused':
    case 'token-unreachable':
    case 'unreachable':
      return failure;
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
