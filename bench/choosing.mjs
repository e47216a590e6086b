// What it costs to choose among the accounts of a snapshot: choose() and the first step, as rules
// alone, with health and loads looked up as the relay does it. `node bench/choosing.mjs` prints
// JSON: µs of CPU a request, medians of five rounds. It measures no call to anybody.

import { registerHooks } from 'node:module';
import { cpuUsage } from 'node:process';
import { median } from './figures.mjs';

// Sources name each other without `.ts`.
registerHooks({
  resolve: (specifier, context, next) =>
    next(/^\..*\/[a-z-]+$/.test(specifier) ? `${specifier}.ts` : specifier, context),
});

const domain = (file) => import(`../workers/domain/${file}`);
const { choose } = await domain('scheduling/choose');
const { firstAttempts, nextStep } = await domain('scheduling/attempts');
const { subjectName } = await domain('health/calls');
const { newId } = await domain('ids');
const { ACCOUNT_DEFAULTS } = await domain('snapshot');

const ROUNDS = 5;
const REQUESTS = 4_000;
const START = Date.UTC(2026, 10, 23, 12);
const MODEL = 'claude-opus-5-5';
const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe'];

/** `most`: µs that a choice should stay below. */
const CASES = [
  { what: '5 accounts', accounts: plain(5) },
  { what: '50 accounts', accounts: plain(50), most: 50 },
  { what: '50, a warm one', accounts: plain(50), most: 50, warm: 30 },
  { what: '50, everything set', accounts: settled(50), most: 50 },
  { what: '50, everything set, 20 held back', accounts: settled(50), most: 50, held: 20 },
  { what: '200, everything set, 20 held back', accounts: settled(200), held: 20 },
];

/** Accounts on which nothing is set, in groups of five. */
function plain(count) {
  return Array.from({ length: count }, (_, n) => account(n, { group: `org-${n % 10}` }));
}

/** Three tiers, labels, lists of models, caps, and active hours of four zones. */
function settled(count) {
  return Array.from({ length: count }, (_, n) =>
    account(n, {
      group: n % 3 === 0 ? null : `org-${n % 10}`,
      weight: 1 + (n % 4),
      priority: n % 3,
      models: ['claude-haiku-5-5', 'claude-sonnet-5-5', MODEL],
      groups: ['team', `label-${n % 5}`],
      maxConcurrency: 100,
      dailyCapNanos: 1e12,
      monthlyCapNanos: 1e13,
      activeHours: {
        timeZone: ZONES[n % ZONES.length],
        days: [0, 1, 2, 3, 4, 5, 6],
        fromMinute: 0,
        toMinute: 1_440,
      },
    }),
  );
}

function account(n, given) {
  return {
    ...ACCOUNT_DEFAULTS,
    id: newId('account', START, Uint8Array.from([n, ...Array.from({ length: 9 }, () => 7)])),
    name: `account ${n}`,
    kind: 'anthropic',
    baseUrl: 'https://api.anthropic.com',
    credential: { keyVersion: '1', iv: '', ciphertext: '' },
    ...given,
  };
}

/** As an isolate keeps them: a map by the subject's name, loads by account. */
function viewsOf({ accounts, held = 0 }) {
  const marks = new Map();
  for (const { id: accountId } of accounts.slice(0, held)) {
    const subject = { of: 'family', accountId, family: 'opus' };
    const mark = { subject, state: 'cooling', reason: 'throttled', since: START };
    marks.set(subjectName(subject), { ...mark, until: START + 3_600_000 });
  }
  const load = { inFlight: 3, dayNanos: 1e9, monthNanos: 1e10 };
  const loads = new Map(accounts.map(({ id }) => [id, load]));
  const marked = new Set(accounts.slice(0, held).map(({ id }) => id));
  return {
    isMarked: (accountId) => marked.has(accountId),
    markOf: (subject) => marks.get(subjectName(subject)) ?? null,
    loadOf: (accountId) => loads.get(accountId),
    refusalOf: () => null,
  };
}

/** µs of CPU for one request's choice and first step. */
function measure({ accounts, held, warm }) {
  const views = viewsOf({ accounts, held });
  const given = { waitMsMax: 20_000, canLeaveElsewhere: false, warm: accounts[warm]?.id ?? null };
  const before = cpuUsage();
  for (let n = 0; n < REQUESTS; n += 1) {
    const asked = {
      tag: `7f3a9c01d2e4${n.toString(16).padStart(4, '0')}`,
      model: MODEL,
      family: 'opus',
      groups: [],
      warm: given.warm,
      owner: null,
      colo: 'FRA',
      now: START + n,
    };
    const choice = choose(accounts, asked, views);
    const step = nextStep(firstAttempts(asked.now), choice, {
      ...given,
      now: asked.now,
      random: 0,
    });
    if (step.do !== 'call') throw new Error(`nobody was chosen: ${JSON.stringify(step)}`);
  }
  const { user, system } = cpuUsage(before);
  return (user + system) / REQUESTS;
}

const samples = CASES.map(() => []);
for (let round = 0; round < ROUNDS; round += 1) {
  CASES.forEach((one, n) => samples[n].push(measure(one)));
}
const figures = CASES.map(({ what, most = null }, n) => ({
  what,
  most,
  choice: Number(median(samples[n]).toFixed(1)),
}));
console.log(JSON.stringify(figures, null, 2));
