// Holds one program on a leash: the leash leads a process group of its own, starts the program in
// it, and ends the whole group when its standard input closes, that is, as soon as the script that
// started it is gone, however that script died. Does nothing else.
//
//   node leash.mjs <program> <argument>...

import { spawn } from 'node:child_process';

const GRACE_MS = 3000;
const [program = '', ...programArguments] = process.argv.slice(2);

const child = spawn(program, programArguments, {
  stdio: ['ignore', 'inherit', 'inherit'],
  windowsHide: true,
});
let abandoned = false;

child.on('error', (problem) => {
  process.stderr.write(`${problem.message}\n`);
  process.exit(127);
});
child.on('exit', (code) => {
  if (abandoned) endGroup('SIGKILL');
  process.exit(code ?? 1);
});

// The group's SIGTERM reaches the leash too; it waits for the program's own clean end.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});

process.stdin.resume();
process.stdin.on('end', abandon);
process.stdin.on('error', abandon);

function abandon() {
  if (abandoned) return;
  abandoned = true;
  endGroup('SIGTERM');
  setTimeout(() => endGroup('SIGKILL'), GRACE_MS);
}

/** @param {NodeJS.Signals} signal */
function endGroup(signal) {
  try {
    if (process.platform === 'win32') child.kill();
    else process.kill(-process.pid, signal);
  } catch {
    // The group is gone already, which is what was wanted.
  }
}
