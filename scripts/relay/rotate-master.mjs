// `rotate-master`: seals every account's credential under the newest master key, a call after the
// other until none is left. It changes no secret itself: `npm run deploy -- --rotate MASTER_KEYS`
// adds the key.

import { Stop, say } from '../lib/say.mjs';
import { callAs } from './session.mjs';
import { table } from './show.mjs';

/** More than all accounts that there can be, some dozens a call. */
const CALLS_MAX = 100;

/**
 * @param {{ url: string, environment: NodeJS.ProcessEnv }} place
 * @param {import('./arguments.mjs').Typed} typed
 */
export async function rotateMaster(place, { flags }) {
  let resealed = 0;
  for (let call = 0; call < CALLS_MAX; call += 1) {
    const path = '/admin/accounts/reseal';
    const { json } = await callAs(place, { method: 'POST', path });
    resealed += json.resealed;
    const isStuck = json.resealed === 0;
    if (json.remaining > 0 && !isStuck) continue;
    if (flags.has('json')) say(JSON.stringify({ ...json, resealed }, null, 2));
    else say(told({ ...json, resealed }));
    if (json.remaining === 0) return;
    throw new Stop(`${json.remaining} accounts are not under key "${json.keyVersion}".`);
  }
  throw new Stop('Accounts go on changing meanwhile: try again.');
}

/** @param {Record<string, any>} answer */
function told({ keyVersion, resealed, remaining, unreadable }) {
  const done = `${resealed} credentials were sealed anew, under master key "${keyVersion}".`;
  if (remaining === 0) return `${done} No account needs an older one.`;
  if (unreadable.length === 0) return done;
  const columns = ['id', 'name', 'credentialKeyVersion'];
  const lost = table(columns, unreadable);
  return `${done} These cannot be opened; put their credentials again:\n${lost}`;
}
