// Starts the sandbox, the stand-in for a provider, on a loopback port that the state folder
// remembers: the relay's account keeps its address from one start to the next.

import { join } from 'node:path';
import { inProject } from './places.mjs';
import { start } from './programs.mjs';
import { Stop, tail } from './say.mjs';
import { readRecord, writeRecord } from './state.mjs';

const MAIN = inProject('scripts', 'sandbox', 'main.mjs');
/** It accepts any key; this one tells in its log who calls. */
const SANDBOX_KEY = 'sandbox-key';

/**
 * @param {string} folder the state folder
 * @returns {Promise<{ started: import('./programs.mjs').Started,
 *   account: import('./settings.mjs').Account }>}
 */
export async function startSandbox(folder) {
  const file = join(folder, 'sandbox.json');
  const wanted = readRecord(file)?.['port'];
  /** @type {(port: number) => void} */
  let tell = () => {};
  /** @type {Promise<number>} */
  const listening = new Promise((resolve) => {
    tell = resolve;
  });
  const started = start({
    name: 'sandbox',
    program: process.execPath,
    arguments: [MAIN, String(Number(wanted) || 0)],
    onLine: (line) => {
      const port = /^listening on 127\.0\.0\.1:(\d+)$/.exec(line)?.[1];
      if (port === undefined) process.stdout.write(`${line}\n`);
      else tell(Number(port));
    },
  });
  const port = await Promise.race([listening, started.ended.then(() => null)]);
  if (port === null) throw new Stop('The sandbox did not start.', tail(started.output()));
  if (port !== wanted) writeRecord(file, { port });
  const baseUrl = `http://127.0.0.1:${port}`;
  const account = { name: 'sandbox', baseUrl, apiKey: SANDBOX_KEY };
  return { started, account: { ...account, kind: 'anthropic-compatible' } };
}
