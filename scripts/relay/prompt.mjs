// What is asked at the terminal, secrets without echo; where there is no terminal, what comes by
// the standard input. Secrets never come as arguments, which every process of the machine can read.

import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Usage } from './arguments.mjs';

/**
 * @param {string} question
 * @param {{ hidden?: boolean }} [options]
 * @returns {Promise<string>}
 */
export async function ask(question, { hidden = false } = {}) {
  if (!process.stdin.isTTY) return (await everything()).replace(/\r?\n$/, '');
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  process.stderr.write(`${question}: `);
  const output = hidden ? silent : process.stderr;
  const terminal = createInterface({ input: process.stdin, output, terminal: true });
  try {
    return await new Promise((resolve, reject) => {
      terminal.question('', resolve);
      terminal.once('SIGINT', () => reject(new Usage('Nothing was done.')));
    });
  } finally {
    terminal.close();
    if (hidden) process.stderr.write('\n');
  }
}

/** The standard input to its end: it is read once, so it can give one secret. */
async function everything() {
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  if (text === '') throw new Usage('Something was to come by the standard input, and did not.');
  return text;
}
