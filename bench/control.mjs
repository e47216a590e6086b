// How long the control plane takes: reads and writes through a relay that `npm start` runs on a
// state that `npm run seed` has filled, one after the other. It only looks, but for grants of a
// nano-dollar, a user's name and a key that it makes and deletes. Figures: docs/performance.md.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stateFolderOf } from '../scripts/lib/settings.mjs';

const TIMES = Number(process.argv[2] ?? 40);
const credentials = JSON.parse(
  readFileSync(join(stateFolderOf(process.env), 'credentials.json'), 'utf8'),
);
const relay = process.argv[3] ?? `http://127.0.0.1:${process.env['RELAY_PORT'] ?? 3000}`;

const admin = await login(credentials.admin);
const user = await login(credentials.user);
const { users } = await ask(admin, 'GET /admin/summary?range=month');
const busiest = users[0]?.name;
if (busiest === undefined) throw new Error('nobody has used anything: run `npm run seed` first');
const me = (await ask(user, 'GET /api/auth/me')).user.id;
const since = Date.now() - 29 * 86_400_000;
const key = (await ask(user, 'POST /api/tokens', { name: 'measured' })).token.id;

/** Who calls what, and for writes with which body. */
const CALLS = /** @type {[string, string, ((n: number) => unknown)?][]} */ ([
  ['user', 'GET /api/auth/me'],
  ['user', 'GET /api/tokens'],
  ['user', 'GET /api/credits'],
  ['user', 'GET /api/credits/statement'],
  ['user', 'GET /api/relay/models'],
  ['user', 'GET /api/relay/requests'],
  ['user', 'GET /api/relay/usage?range=90d&group=model'],
  ['admin', 'GET /admin/users?limit=50'],
  ['admin', 'GET /admin/users?search=Seeded%200999'],
  ['admin', 'GET /admin/keys?limit=50'],
  ['admin', 'GET /admin/credits?limit=50'],
  ['admin', `GET /admin/requests?from=${since}`],
  ['admin', `GET /admin/requests?from=${since}&status=400`],
  ['admin', `GET /admin/requests?from=${since}&session=none`],
  ['admin', `GET /admin/usage?range=week&userId=${busiest}`],
  ['admin', `GET /admin/usage?range=90d&group=key&userId=${busiest}`],
  ['admin', 'GET /admin/usage?range=day'],
  ['admin', 'GET /admin/usage?range=week&group=model'],
  ['admin', 'GET /admin/usage?range=month&group=user'],
  ['admin', 'GET /admin/usage?range=90d&group=model'],
  ['admin', 'GET /admin/summary?range=day'],
  ['admin', 'GET /admin/summary?range=week'],
  ['admin', 'GET /admin/summary?range=month'],
  ['user', `PATCH /api/tokens/${key}`, (n) => ({ name: `measured ${n}` })],
  ['user', 'PUT /api/credits/alerts', (n) => ({ percents: [(n % 100) + 1] })],
  ['admin', 'POST /admin/credits/grant', (n) => ({ userId: me, amountNanos: 1, reason: `${n}` })],
  ['admin', `PATCH /admin/users/${me}`, (n) => ({ name: `Measured ${n}` })],
]);

console.log(
  `| call, ${TIMES} times | fastest, ms | p50, ms | p95, ms |\n| --- | ---: | ---: | ---: |`,
);
for (const [who, call, bodyOf] of CALLS) {
  const token = who === 'admin' ? admin : user;
  const took = [];
  for (let n = 0; n < TIMES + 3; n += 1) {
    const from = performance.now();
    await ask(token, call, bodyOf?.(n));
    // The first ones find nothing warm.
    if (n >= 3) took.push(performance.now() - from);
  }
  took.sort((a, b) => a - b);
  const shown = (/** @type {number} */ share) =>
    (took[Math.max(0, Math.ceil(took.length * share) - 1)] ?? 0).toFixed(1);
  console.log(`| ${who}: \`${shortened(call)}\` | ${shown(0)} | ${shown(0.5)} | ${shown(0.95)} |`);
}
await ask(user, `DELETE /api/tokens/${key}`);

/** @param {string} call */
function shortened(call) {
  return call.replaceAll(/\b(\w{3})_[1-9A-Za-z]{22}/g, '$1_…').replace(/from=\d+/, 'from=…');
}

/** @param {{ email: string, password: string }} person */
async function login({ email, password }) {
  const body = { email, password, transport: 'bearer' };
  return (await ask('', 'POST /api/auth/login', body)).tokens.access;
}

/** @param {string} token @param {string} call method and path @param {unknown} [body] */
async function ask(token, call, body) {
  const [method = '', path = ''] = call.split(' ');
  const answer = await fetch(`${relay}${path}`, {
    method,
    headers: {
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === '' ? {} : JSON.parse(text);
}
