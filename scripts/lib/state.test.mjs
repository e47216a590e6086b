import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localSecrets } from './secrets.mjs';
import { forgetState, lockOwner, lockState, openState } from './state.mjs';

let folder = '';
beforeEach(() => {
  folder = join(fs.mkdtempSync(join(tmpdir(), 'cloud-relay-state-')), 'state');
});
afterEach(() => {
  fs.rmSync(join(folder, '..'), { recursive: true, force: true });
});

describe('the state folder', () => {
  it('is made for its owner alone', () => {
    openState(folder);
    expect(fs.statSync(folder).mode & 0o777).toBe(0o700);
  });

  it('is refused when it is a file or holds other things', () => {
    fs.mkdirSync(folder);
    fs.writeFileSync(join(folder, 'thesis.txt'), '');
    expect(() => openState(folder)).toThrow('holds other things');
    expect(() => openState(join(folder, 'thesis.txt'))).toThrow('cannot be used');
  });

  it('is taken by one process and given back', async () => {
    openState(folder);
    const giveBack = await lockState(folder);
    expect(fs.readFileSync(join(folder, 'lock'), 'utf8')).toBe(`${process.pid}\n`);
    giveBack();
    expect(fs.existsSync(join(folder, 'lock'))).toBe(false);
  });

  it('is refused while a start lives on it, and taken over once that is dead', async () => {
    openState(folder);
    const script = join(folder, '..', 'start.mjs');
    fs.writeFileSync(script, 'process.stdout.write("up"); setInterval(() => {}, 1000);');
    const other = spawn(process.execPath, [script]);
    await new Promise((resolve) => other.stdout.once('data', resolve));
    fs.writeFileSync(join(folder, 'lock'), `${other.pid}\n`);
    expect(lockOwner(folder)).toBe(other.pid);
    await expect(lockState(folder)).rejects.toThrow(`process ${other.pid}`);
    other.kill('SIGKILL');
    await new Promise((resolve) => other.once('exit', resolve));
    const giveBack = await lockState(folder);
    giveBack();
  });

  it('whose lock names a process that is something else is free', () => {
    openState(folder);
    fs.writeFileSync(join(folder, 'lock'), `${process.ppid}\n`);
    expect(lockOwner(folder)).toBe(null);
  });

  it('is forgotten but for what others put there', () => {
    openState(folder);
    localSecrets(folder);
    fs.writeFileSync(join(folder, 'notes.txt'), '');
    forgetState(folder);
    expect(fs.readdirSync(folder)).toEqual(['notes.txt']);
  });
});

describe('the local secrets', () => {
  it('are made once, for the owner alone, and read afterwards', () => {
    openState(folder);
    const { file, values, made } = localSecrets(folder);
    expect(made).toBe(true);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect(Buffer.from(JSON.parse(values['MASTER_KEYS'] ?? '')['1'], 'base64')).toHaveLength(32);
    expect(JSON.parse(values['KEY_TAG_SECRETS'] ?? '')['1']).toMatch(/^[\w-]{43}$/);
    expect(localSecrets(folder)).toEqual({ file, values, made: false });
  });

  it('are never made anew for a database that has had some', () => {
    openState(folder);
    fs.mkdirSync(join(folder, 'wrangler'));
    expect(() => localSecrets(folder)).toThrow('is missing');
    fs.writeFileSync(join(folder, 'secrets.env'), "SETUP_SECRET='a'\n");
    expect(() => localSecrets(folder)).toThrow('has no KEY_TAG_SECRETS');
  });

  it('that a folder is too old to have are made and kept, and the others stay', () => {
    openState(folder);
    const { file, values } = localSecrets(folder);
    fs.mkdirSync(join(folder, 'wrangler'));
    const text = fs.readFileSync(file, 'utf8');
    const old = text.split('\n').filter((line) => !line.startsWith('SESSION_SECRETS='));
    fs.writeFileSync(file, old.join('\n'));
    const next = localSecrets(folder);
    const { SESSION_SECRETS: before, ...others } = values;
    const { SESSION_SECRETS: after, ...same } = next.values;
    expect(same).toEqual(others);
    expect(JSON.parse(after ?? '')['1']).toMatch(/^[\w-]{43}$/);
    expect(after).not.toBe(before);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect(localSecrets(folder)).toEqual(next);
  });
});
