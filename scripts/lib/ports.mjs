// Asks whether a loopback port is free.

import { createServer } from 'node:net';
import { Stop, codeOf, wordsOf } from './say.mjs';

/** Ends in a sentence when the relay's port is taken. @param {number} port */
export async function requireFreePort(port) {
  const problem = await tryPort(port);
  if (problem === null) return;
  if (codeOf(problem) === 'EADDRINUSE') {
    throw new Stop(
      `Port ${port} is in use: stop what uses it, or take another, as in ` +
        `RELAY_PORT=${port === 65_535 ? 3010 : port + 10} npm start`,
    );
  }
  throw new Stop(`Port ${port} cannot be used (${wordsOf(problem)}): set another RELAY_PORT.`);
}

/** @param {number} port @returns {Promise<Error | null>} */
function tryPort(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(null));
    });
  });
}
