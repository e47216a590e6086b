import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { endAll, run, start } from './programs.mjs';

let folder = '';
/** Starts a child of its own, says both pids, ignores a polite end, and stays. */
const STUBBORN = `
  import { spawn } from 'node:child_process';
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
  const stay = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)';
  const child = spawn(process.execPath, ['-e', stay], { stdio: 'inherit' });
  console.log('pids ' + process.pid + ' ' + child.pid);
  setInterval(() => {}, 1000);
`;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloud-relay-programs-'));
  writeFileSync(join(folder, 'stubborn.mjs'), STUBBORN);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a started program', () => {
  it('gives its output of both streams, line by line, and its exit code', async () => {
    const code = 'console.log("ü\\nb"); console.error("c"); process.exitCode = 7';
    /** @type {string[]} */
    const lines = [];
    const wanted = { name: 'a', program: process.execPath, arguments: ['-e', code] };
    const ended = await run({ ...wanted, onLine: (line) => lines.push(line) });
    expect(ended.code).toBe(7);
    expect(lines.toSorted()).toEqual(['b', 'c', 'ü']);
    expect(ended.output.split('\n').toSorted()).toEqual(['', 'b', 'c', 'ü']);
  });

  it('that does not exist ends with a code and says why', async () => {
    const { code, output } = await run({ name: 'a', program: join(folder, 'none'), arguments: [] });
    expect(code).toBe(127);
    expect(output).toContain('ENOENT');
  });

  it('is ended with all that it started, even if it will not go', async () => {
    const pids = await new Promise((resolve) => {
      const onLine = (/** @type {string} */ line) => resolve(pidsIn(line));
      const flags = [join(folder, 'stubborn.mjs')];
      start({ name: 'a', program: process.execPath, arguments: flags, onLine });
    });
    expect(pids.map(lives)).toEqual([true, true]);
    await endAll();
    await vi.waitFor(() => expect(pids.map(lives)).toEqual([false, false]), WAIT);
  });

  it('ends with all that it started when the script that started it is killed', async () => {
    const programs = fileURLToPath(new URL('./programs.mjs', import.meta.url));
    const script = `
      import { start } from ${JSON.stringify(programs)};
      const flags = [${JSON.stringify(join(folder, 'stubborn.mjs'))}];
      const onLine = (line) => console.log(line);
      start({ name: 'a', program: process.execPath, arguments: flags, onLine });
    `;
    writeFileSync(join(folder, 'parent.mjs'), script);
    const parent = spawn(process.execPath, [join(folder, 'parent.mjs')]);
    const pids = pidsIn(
      String(await new Promise((resolve) => parent.stdout.once('data', resolve))),
    );
    expect(pids.map(lives)).toEqual([true, true]);
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(pids.map(lives)).toEqual([false, false]), WAIT);
  });
});

const WAIT = { timeout: 20_000, interval: 100 };

/** @param {string} line */
function pidsIn(line) {
  return (/^pids (\d+) (\d+)/.exec(line) ?? []).slice(1).map(Number);
}

/** @param {number} pid */
function lives(pid) {
  try {
    process.kill(pid, 0);
    // Ended, and only not yet taken note of by its parent: where there is /proc, that is told.
    const status = existsSync('/proc/self') ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
    return !/\) Z /.test(status);
  } catch {
    return false;
  }
}
