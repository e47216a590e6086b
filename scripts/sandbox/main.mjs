// The sandbox as a process: listens on a loopback port (the one asked for when it is free), says
// which, and ends when told. What it answers is in server.mjs.
//
//   node main.mjs [port]

import { createServer } from 'node:http';
import { createSandbox } from './server.mjs';

const wantedPort = Number(process.argv[2]) || 0;
const server = createServer(createSandbox());
server.requestTimeout = 0;

server.on('listening', () => {
  const address = server.address();
  if (typeof address !== 'object' || address === null) return;
  console.log(`listening on 127.0.0.1:${address.port}`);
});
server.on('error', (problem) => {
  const isTaken = 'code' in problem && problem.code === 'EADDRINUSE';
  if (isTaken && wantedPort !== 0) return void server.listen(0, '127.0.0.1');
  console.error(problem.message);
  process.exit(1);
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(0));

server.listen(wantedPort, '127.0.0.1');
