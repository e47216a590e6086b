import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { COMMANDS } from './commands.mjs';
import { helpOf, overview } from './help.mjs';
import { operationOf } from './operations.mjs';
import { main } from './run.mjs';
import { fileOf, urlOf } from './session.mjs';
import { dollars, lines, table } from './show.mjs';

describe('the table of commands', () => {
  it.each(COMMANDS)('has with "$command" an operation with what it takes and shows', (row) => {
    const operation = operationOf(row.does);
    const names = operation.fields.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...(row.takes ?? [])]));
    const document = JSON.parse(readFileSync('workers/control/openapi.json', 'utf8'));
    const found = document.paths[operation.path][operation.method.toLowerCase()];
    const [answer] = Object.values(found.responses);
    const items = answer.content?.['application/json'].schema.properties.items?.items;
    for (const column of row.columns ?? []) {
      const [first = ''] = column.split('.');
      expect([row.command, Object.keys(items?.properties ?? {})]).toEqual([
        row.command,
        expect.arrayContaining([first]),
      ]);
    }
  });

  it('gives every command one name, and its help', () => {
    const names = COMMANDS.map(({ command }) => command);
    expect(new Set(names).size).toBe(names.length);
    for (const row of COMMANDS) {
      expect(overview()).toContain(`  ${row.command} `);
      expect(helpOf(row, operationOf(row.does))).toContain(`npm run relay -- ${row.command}`);
    }
  });

  it('gives no two fields of an operation the same flag', () => {
    for (const { does } of COMMANDS) {
      const flags = operationOf(does).fields.map(({ flag }) => flag);
      expect([does, new Set(flags).size]).toEqual([does, flags.length]);
    }
  });
});

describe('what is shown', () => {
  it('moves no cursor: names are other people’s words', () => {
    const shown = table(['name'], [{ name: 'a\u001b[2Jb\u202e\nc' }]);
    expect(shown).toBe('NAME\na\uFFFD[2Jb\uFFFD\uFFFDc');
    expect(lines({ name: '\u0007' })).toBe('name  \uFFFD');
  });

  it('is a number where it is no date, and the rest of the list with it', () => {
    const items = [{ expiresAt: 9e15 }, { expiresAt: Date.UTC(2027, 0, 1) }];
    expect(table(['expiresAt'], items)).toBe('EXPIRES\n9000000000000000\n2027-01-01 00:00:00');
  });

  it.each([
    [0, '$0.00'],
    [1, '$0.000000001'],
    [-1_500_000_000, '-$1.50'],
    [12_345_678_900, '$12.3456789'],
  ])('is money to the nano-dollar: %i', (nanos, expected) => {
    expect(dollars(nanos)).toBe(expected);
  });
});

describe('the address', () => {
  it('is https, or of this machine: passwords go there', () => {
    expect(urlOf({}, undefined)).toBe('http://127.0.0.1:3000');
    expect(urlOf({ RELAY_URL: 'https://relay.example/x' }, undefined)).toBe(
      'https://relay.example',
    );
    expect(() => urlOf({}, 'http://relay.example')).toThrow(/in the clear/);
    expect(() => urlOf({}, 'relay')).toThrow(/no address/);
  });
});

describe('a command', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloud-relay-cli-'));
  /** @type {{ method: string, url: string, headers: Record<string, any>, body: any }[]} */
  const calls = [];
  /** @type {(call: { url: string, body: any }) => [number, unknown]} */
  let answer = () => [200, {}];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const body = text === '' ? undefined : JSON.parse(text);
      calls.push({ method, url, headers, body });
      const [status, json] = answer({ url, body });
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(status === 204 ? '' : JSON.stringify(json));
    });
  });
  /** @type {NodeJS.ProcessEnv} */
  let environment = {};
  /** @type {string[]} */
  let said = [];

  beforeAll(async () => {
    await new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(undefined));
    });
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    environment = { XDG_CONFIG_HOME: folder, RELAY_URL: `http://127.0.0.1:${port}` };
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    calls.length = 0;
  });

  /** @param {string[]} words @param {NodeJS.ProcessEnv} [more] */
  async function run(words, more = {}) {
    said = [];
    const listen = (/** @type {unknown} */ text) => said.push(String(text)) > 0;
    vi.spyOn(process.stdout, 'write').mockImplementation(listen);
    vi.spyOn(process.stderr, 'write').mockImplementation(listen);
    return main(words, { ...environment, ...more });
  }

  /** @param {number} number @param {number} expiresInMs */
  const login = (number, expiresInMs) => ({
    user: { email: 'a@relay.test', role: 'admin' },
    accessExpiresAt: Date.now() + expiresInMs,
    tokens: { access: `access-${number}`, refresh: `refresh-${number}` },
  });
  const file = () => fileOf(environment, environment['RELAY_URL'] ?? '');

  it('needs a login, says so, and ends with 3', async () => {
    expect(await run(['whoami'])).toBe(3);
    expect(said.join('')).toContain('npm run relay -- login');
    expect(calls).toEqual([]);
  });

  it('with --help or -h does nothing but say what it takes', async () => {
    for (const words of [
      ['login', '--help'],
      ['logout', '-h'],
      ['users', '--help'],
      ['keys', 'count', '-h'],
    ]) {
      expect([words, await run(words)]).toEqual([words, 0]);
    }
    expect(said.join('')).toMatch(/relay -- keys count\nSays how many/);
    await run(['users', '--help']);
    expect(said.join('')).toMatch(/ {2}users limits +Sets somebody’s limits/);
    expect(said.join('')).not.toContain('keys list');
    expect(calls).toEqual([]);
  });

  it('logs in with tokens of its own, kept for their owner alone, without the password', async () => {
    answer = () => [200, login(1, 600_000)];
    const code = await run(['login', 'a@relay.test'], { RELAY_PASSWORD: 'correct horse' });
    expect(code).toBe(0);
    expect(calls[0]?.body).toMatchObject({ transport: 'bearer', password: 'correct horse' });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readFileSync(file(), 'utf8')).not.toContain('correct horse');
    expect(said.join('')).not.toMatch(/access-|refresh-|correct horse/);
  });

  it('sends what was typed, an Idempotency-Key with what moves money', async () => {
    answer = () => [201, { entryId: 'e', amountNanos: 2_500_000_000 }];
    const code = await run(['credits', 'grant', 'usr_1', '2.50', '--reason', 'a present']);
    expect(code).toBe(0);
    expect(calls).toMatchObject([
      {
        method: 'POST',
        url: '/admin/credits/grant',
        headers: { authorization: 'Bearer access-1', 'idempotency-key': expect.any(String) },
        body: { userId: 'usr_1', amountNanos: 2_500_000_000, reason: 'a present' },
      },
    ]);
    expect(said.join('')).toContain('$2.50');
  });

  it('puts words into addresses without letting them out', async () => {
    answer = () => [204, null];
    await run(['keys', 'delete', '../users/x?y#z']);
    expect(calls[0]?.url).toBe('/admin/keys/..%2Fusers%2Fx%3Fy%23z');
  });

  it('reads a list to its end, and counts', async () => {
    answer = ({ url }) => {
      const next = url.includes('cursor=c1') ? null : 'c1';
      return [200, { items: [{ id: 'a' }, { id: 'b' }], next }];
    };
    expect(await run(['keys', 'count', '--tag-version', '1'])).toBe(0);
    expect(said.join('')).toBe('4\n');
    expect(calls.map(({ url }) => url)).toEqual([
      '/admin/keys?limit=200&tagVersion=1',
      '/admin/keys?cursor=c1&limit=200&tagVersion=1',
    ]);
  });

  it('takes no secret as an argument, and one from the environment', async () => {
    const words = ['accounts', 'add', 'name', 'anthropic', 'https://api.anthropic.com'];
    expect(await run([...words, '--credential', 'sk-canary'])).toBe(2);
    expect(said.join('')).not.toContain('sk-canary');
    expect(calls).toEqual([]);
    answer = () => [201, { account: {} }];
    expect(await run(words, { RELAY_CREDENTIAL: 'sk-canary' })).toBe(0);
    expect(calls[0]?.body.credential).toBe('sk-canary');
    expect(said.join('')).not.toContain('sk-canary');
  });

  it('reads a credential from a file, and adds an account of every field', async () => {
    const path = join(folder, 'credential.json');
    writeFileSync(path, '{"private_key":"canary"}\n');
    answer = () => [201, { account: {} }];
    const typed =
      'accounts add Night anthropic --hard --models m1,m2 --model-name m1=own-1 ' +
      '--model-name m2=own-2 --group org --groups team,night --max-concurrency 5 --daily-cap 50 ' +
      '--monthly-cap none --egress weur --cost-factor 1.1 --notes note';
    const words = [...typed.split(' '), '--hours', 'Sat 22:00-06:00', '--credential-file', path];
    const code = await run(words);
    expect([code, said.join('')]).toEqual([0, expect.not.stringContaining('canary')]);
    expect(calls[0]?.body).toEqual({
      name: 'Night',
      kind: 'anthropic',
      credential: '{"private_key":"canary"}',
      isHard: true,
      models: ['m1', 'm2'],
      modelNames: { m1: 'own-1', m2: 'own-2' },
      group: 'org',
      groups: ['team', 'night'],
      maxConcurrency: 5,
      dailyCapNanos: 50_000_000_000,
      monthlyCapNanos: null,
      activeHours: { timeZone: 'UTC', days: [6], fromMinute: 1_320, toMinute: 360 },
      egress: 'weur',
      costFactor: [11, 10],
      notes: 'note',
    });
    const nowhere = ['accounts', 'credential', 'acc_1', '--credential-file'];
    expect(await run([...nowhere, join(folder, 'none')])).toBe(1);
    expect(await run(nowhere)).toBe(2);
    expect(await run(['accounts', 'list', '--credential-file', path])).toBe(2);
    expect(calls).toHaveLength(1);
  });

  it('lists accounts with what holds them back and until when', async () => {
    const until = Date.UTC(2026, 11, 1);
    const reasons = [{ reason: 'Its spend limit is reached.', until }];
    const items = [
      { id: 'acc_1', state: 'out', reasons },
      { id: 'acc_2', state: null, reasons: [] },
    ];
    answer = () => [200, { items }];
    expect(await run(['accounts', 'list'])).toBe(0);
    const [head, first, second] = said.join('').split('\n');
    expect(head).toMatch(/STATE +UNTIL +REASON$/);
    expect(first).toMatch(/out +2026-12-01 00:00:00 +Its spend limit is reached\.$/);
    expect(second).toMatch(/^acc_2( +-)+$/);
  });

  it('seals all accounts under the newest master key, call by call, and says what it cannot', async () => {
    const keyVersion = '2';
    const left = [
      { keyVersion, resealed: 40, remaining: 3, unreadable: [] },
      { keyVersion, resealed: 3, remaining: 0, unreadable: [] },
    ];
    answer = () => [200, left.shift()];
    expect(await run(['rotate-master'])).toBe(0);
    expect(calls.map(({ method, url }) => `${method} ${url}`)).toEqual(
      Array.from({ length: 2 }, () => 'POST /admin/accounts/reseal'),
    );
    expect(said.join('')).toBe(
      '43 credentials were sealed anew, under master key "2". No account needs an older one.\n',
    );
    const lost = { id: 'acc_1', name: 'Lost', credentialKeyVersion: '1' };
    answer = () => [200, { keyVersion, resealed: 0, remaining: 1, unreadable: [lost] }];
    expect(await run(['rotate-master'])).toBe(1);
    expect(said.join('')).toMatch(/acc_1 +Lost +1/);
  });

  it('tells a refusal in its words and fields, and ends with 1', async () => {
    const error = {
      code: 'not-valid',
      message: 'No.',
      requestId: 'req_1',
      fields: { a: 'is odd' },
    };
    answer = () => [400, { error }];
    expect(await run(['users', 'list'])).toBe(1);
    expect(said.join('')).toBe('No. (400 not-valid)\n  a: is odd\nRequest req_1\n');
    expect(await run(['users', 'list', '--json'])).toBe(1);
    expect(JSON.parse(said.join(''))).toEqual({ error });
  });

  it('that is typed wrongly sends nothing and ends with 2', async () => {
    for (const words of [
      ['nothing'],
      ['keys'],
      ['users', 'list', '--rolle', 'x'],
      ['keys', 'show'],
    ]) {
      expect([words, await run(words)]).toEqual([words, 2]);
    }
    expect(calls).toEqual([]);
  });

  it('renews its tokens before they end, and keeps the new ones', async () => {
    answer = () => [200, login(1, 1_000)];
    await run(['login', 'a@relay.test'], { RELAY_PASSWORD: 'correct horse' });
    answer = ({ url }) => [200, url === '/api/auth/refresh' ? login(2, 600_000) : {}];
    expect(await run(['whoami'])).toBe(0);
    expect(calls.at(-2)?.body).toEqual({ refreshToken: 'refresh-1', transport: 'bearer' });
    expect(calls.at(-1)?.headers['authorization']).toBe('Bearer access-2');
    expect(JSON.parse(readFileSync(file(), 'utf8')).refresh).toBe('refresh-2');
  });

  it('forgets a login that has ended, and one that is logged out', async () => {
    answer = () => [200, login(1, 1_000)];
    await run(['login', 'a@relay.test'], { RELAY_PASSWORD: 'correct horse' });
    answer = () => [401, { error: { code: 'session-ended', message: 'Ended.' } }];
    expect(await run(['whoami'])).toBe(3);
    expect(() => statSync(file())).toThrow();
    answer = () => [200, login(1, 1_000)];
    await run(['login', 'a@relay.test'], { RELAY_PASSWORD: 'correct horse' });
    answer = () => [204, null];
    expect(await run(['logout'])).toBe(0);
    expect(calls.at(-1)?.body).toEqual({ refreshToken: 'refresh-1' });
    expect(() => statSync(file())).toThrow();
  });

  it('with a service token needs no login', async () => {
    answer = () => [200, { items: [], next: null }];
    expect(await run(['users', 'list'], { RELAY_TOKEN: 'svc_x' })).toBe(0);
    expect(calls[0]?.headers['authorization']).toBe('Bearer svc_x');
  });

  it('without an answer ends with 4', async () => {
    const nowhere = { RELAY_URL: 'http://127.0.0.1:9', RELAY_TOKEN: 'svc_x' };
    expect(await run(['users', 'list'], nowhere)).toBe(4);
    expect(said.join('')).toContain('does not answer');
  });
});
