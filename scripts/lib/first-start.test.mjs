import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialsOf, requireReadable } from './first-start.mjs';

/** A door as the relay's: open for one setup id until that is confirmed. */
function createDoor() {
  /** @type {{ setupId: string, isConfirmed: boolean } | null} */
  let setup = null;
  let keys = 0;
  /** @type {{ path: string, breaks: boolean }[]} */
  const calls = [];
  /** The path whose next answer is lost, after its work is done. @type {string | null} */
  let lose = null;
  const server = createServer((request, response) => {
    void text(request).then((body) => answer(request, response, JSON.parse(body)));
  });
  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   * @param {{ setupId: string }} body
   */
  const answer = (request, response, body) => {
    const path = request.url ?? '';
    const breaks = lose === path;
    calls.push({ path, breaks });
    const isOther = setup !== null && (setup.setupId !== body.setupId || setup.isConfirmed);
    response.statusCode = isOther ? 409 : 200;
    if (path === '/admin/setup' && !isOther) {
      setup = { setupId: body.setupId, isConfirmed: false };
      keys += 1;
    }
    if (path === '/admin/setup/confirm' && setup !== null) setup.isConfirmed = true;
    if (breaks) return void request.socket.destroy();
    const authorized = request.headers.authorization === 'Bearer the-secret';
    response.end(JSON.stringify(authorized ? { key: `cr_${keys}` } : {}));
  };
  return {
    server,
    calls,
    keys: () => keys,
    /** @param {string | null} path */
    loseAnswerOf: (path) => {
      lose = path;
    },
  };
}

let folder = '';
let door = createDoor();
let relayUrl = '';
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloud-relay-start-'));
  door = createDoor();
  await new Promise((resolve) => door.server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = door.server.address();
  relayUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
});
afterEach(() => {
  door.server.close();
  rmSync(folder, { recursive: true, force: true });
});

const start = (more = {}) =>
  credentialsOf({
    folder,
    relayUrl,
    dashboardUrl: 'http://127.0.0.1:3001',
    setupSecret: 'the-secret',
    ...more,
  });
const stored = () => JSON.parse(readFileSync(join(folder, 'credentials.json'), 'utf8'));
const pendingFile = () => join(folder, 'setup-pending.json');

describe('the first start', () => {
  it('sets up once and keeps what it made in a file of mode 600', async () => {
    const first = await start();
    expect(first.key).toBe('cr_1');
    expect(stored()).toEqual(first);
    expect(statSync(join(folder, 'credentials.json')).mode & 0o777).toBe(0o600);
    expect(existsSync(pendingFile())).toBe(false);
    expect(await start()).toEqual(first);
    expect(door.calls.map(({ path }) => path)).toEqual(['/admin/setup', '/admin/setup/confirm']);
  });

  it('that loses the answer of the door is repaired by the next one, with its passwords', async () => {
    door.loseAnswerOf('/admin/setup');
    await expect(start()).rejects.toThrow('did not answer');
    const { admin, user } = JSON.parse(readFileSync(pendingFile(), 'utf8'));
    expect(existsSync(join(folder, 'credentials.json'))).toBe(false);
    door.loseAnswerOf(null);
    expect(await start()).toMatchObject({ admin, user, key: 'cr_2' });
    expect(existsSync(pendingFile())).toBe(false);
  });

  it('that loses the confirmation keeps the key it has written', async () => {
    door.loseAnswerOf('/admin/setup/confirm');
    await expect(start()).rejects.toThrow('did not answer');
    expect(stored().key).toBe('cr_1');
    door.loseAnswerOf(null);
    expect((await start()).key).toBe('cr_1');
    expect(door.keys()).toBe(1);
    expect(existsSync(pendingFile())).toBe(false);
  });

  it('on a relay that somebody else set up points at the reset', async () => {
    await start();
    rmSync(join(folder, 'credentials.json'));
    await expect(start()).rejects.toThrow('npm run reset');
  });

  it('that cannot get a key says what the door answered', async () => {
    await expect(start({ setupSecret: 'another' })).rejects.toThrow('answered 200: {}');
  });

  it('writes another address into what an earlier one kept, and changes nothing else', async () => {
    const first = await start();
    const moved = await start({ relayUrl: 'http://127.0.0.1:3999' });
    expect(moved).toEqual({ ...first, relay: 'http://127.0.0.1:3999' });
    expect(stored()).toEqual(moved);
  });

  it.each(['{"relay":', '[]', '{"relay":"a"}'])('calls a file that holds %s broken', (text) => {
    writeFileSync(join(folder, 'credentials.json'), text);
    expect(() => requireReadable(folder)).toThrow('The state folder is broken');
  });
});
