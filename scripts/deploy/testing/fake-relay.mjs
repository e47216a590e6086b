// A stand-in for the deployed relay, for tests: the setup door and health, with the rules of the
// real door (open while there is no admin or the same setup is not confirmed; 409 afterwards).

import { createServer } from 'node:http';
import { openDatabase, readAccount } from './fake-cloudflare.mjs';

/**
 * @param {string} folder the fake account whose Worker this is
 * @returns {Promise<{ url: string, door: Record<string, any>, stop: () => Promise<unknown> }>}
 *   `door.cut`: paths whose next answer is lost after its effect; `door.healthy`
 */
export async function startRelay(folder) {
  /** @type {Record<string, any>} */
  const door = { healthy: true, cut: [], setupId: null, confirmed: false, keys: 0, seen: [] };
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => (text += chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      door['seen'].push(path);
      const body = text === '' ? {} : JSON.parse(text);
      const answer = answerTo({ folder, door, path, body, bearer: request.headers.authorization });
      if (door['cut'].includes(path)) {
        door['cut'] = door['cut'].filter((/** @type {string} */ each) => each !== path);
        request.socket.destroy();
        return;
      }
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer.body));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const stop = () => new Promise((resolve) => server.close(resolve));
  return { url: `http://127.0.0.1:${port}`, door, stop };
}

/** @param {{ folder: string, door: Record<string, any>, path: string, body: any,
 *   bearer: string | undefined }} question */
function answerTo({ folder, door, path, body, bearer }) {
  const { worker } = readAccount(folder);
  if (worker === null) return { status: 404, body: {} };
  if (path === '/health') {
    const checks = { database: 'ok', ledger: door['healthy'] ? 'ok' : 'failed', pool: 'ok' };
    const status = door['healthy'] ? 200 : 503;
    return {
      status,
      body: { status: door['healthy'] ? 'ok' : 'failing', version: '0.1.0', checks },
    };
  }
  const secret = worker.secrets['SETUP_SECRET'];
  if (secret === undefined || bearer !== `Bearer ${secret}`) return { status: 401, body: {} };
  const database = openDatabase(folder, worker.name);
  try {
    return setUp({ database, door, path, body });
  } finally {
    database.close();
  }
}

/** @param {{ database: import('node:sqlite').DatabaseSync, door: Record<string, any>, path: string,
 *   body: any }} question */
function setUp({ database, door, path, body }) {
  const count = database.prepare("SELECT count(*) AS n FROM users WHERE role = 'admin'").get();
  const isSame = body.setupId === door['setupId'] && !door['confirmed'];
  if (path === '/admin/setup/confirm') {
    if (!isSame) return { status: 409, body: {} };
    door['confirmed'] = true;
    return { status: 200, body: {} };
  }
  if (Number(count?.['n']) > 0 && !isSame) return { status: 409, body: {} };
  if (!isSame) {
    database.prepare('INSERT INTO users (id, role) VALUES (?, ?)').run('usr_1', 'admin');
    door['confirmed'] = false;
  }
  door['setupId'] = body.setupId;
  door['password'] = body.admin.password;
  door['keys'] += 1;
  door['key'] = `cr_key_${door['keys']}`;
  return { status: 200, body: { key: door['key'], adminId: 'usr_1', userId: 'usr_2' } };
}
