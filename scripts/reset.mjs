// `npm run reset`: forgets all local state (RELAY_STATE): secrets, database, credentials. Refuses
// while a relay runs on it.

import { existsSync } from 'node:fs';
import { Stop, explain, say, wordsOf } from './lib/say.mjs';
import { stateFolderOf } from './lib/settings.mjs';
import { forgetState, lockOwner } from './lib/state.mjs';

try {
  reset(stateFolderOf(process.env));
} catch (problem) {
  explain(problem);
  process.exitCode = 1;
}

/** @param {string} folder */
function reset(folder) {
  if (!existsSync(folder)) return say(`Nothing to forget: there is no ${folder}.`);
  const owner = lockOwner(folder);
  if (owner !== null) {
    throw new Stop(`A relay (process ${owner}) is running on ${folder}: stop it first.`);
  }
  try {
    forgetState(folder);
  } catch (problem) {
    throw new Stop(`The state folder could not be deleted: ${wordsOf(problem)}`);
  }
  say(`Forgot the local state in ${folder}.`);
}
