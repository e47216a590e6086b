// The tables that a run prints.

import { TARGETS } from './scenarios.mjs';

const COLUMNS = [
  ['perSecond', 'req/s', 0],
  ['latencyP50', 'p50 ms', 2],
  ['latencyP99', 'p99 ms', 2],
  ['firstByteP50', 'first byte p50', 2],
  ['firstByteP99', 'p99', 2],
  ['delayP50', 'chunk delay p50', 2],
  ['delayP99', 'p99', 2],
  ['cpuMs', 'CPU ms/req', 3],
  ['cpuPer100k', 'CPU s/100k events', 2],
  ['rssMib', 'RSS MiB', 0],
];
/** List prices a million: a Worker request, an object request, a row written, a row read. */
const PRICES = { worker: 0.3, object: 0.15, written: 1, read: 0.001 };
/** Most dollars a million requests, without the request log and with it, at 20 in a batch. */
const DOLLARS_MOST = [3.5, 5];

/** Prints everything as Markdown; `baseline` may be null. */
export function printReport(results, baseline) {
  const { medians, titles } = results;
  line(`\n${results.date.slice(0, 10)}; ${results.machine}; medians of ${results.rounds} rounds`);
  if (results.quick) line('Quick run: short streams show fixed costs larger than they are.');
  for (const [id, title] of Object.entries(titles)) printScenario(title, medians[id]);
  if (medians.memory !== undefined) printMemory(medians.memory);
  printTargets(medians, baseline);
  printLedger(results.ledger);
  printOperations(results.operations);
}

function printScenario(title, servers) {
  const columns = COLUMNS.filter(([field]) => servers.relay[field] !== null);
  line(`\n### ${title}\n`);
  row(['', ...columns.map(([, name]) => name), 'CPU ratio']);
  row(['---', ...columns.map(() => '---:'), '---:']);
  for (const [server, figures] of Object.entries(servers)) {
    const ratio = figures.cpuMs === null ? '' : (figures.cpuMs / servers.bare.cpuMs).toFixed(2);
    row([server, ...columns.map(([field, , digits]) => shown(figures[field], digits)), ratio]);
  }
}

function printMemory({ bare, relay }) {
  line('\n### Memory of open streams\n');
  row(['', 'KiB a stream', 'RSS before, MiB']);
  row(['---', '---:', '---:']);
  row(['bare', shown(bare.kibPerStream, 0), shown(bare.idleMib, 0)]);
  row(['relay', shown(relay.kibPerStream, 0), shown(relay.idleMib, 0)]);
}

function printTargets(medians, baseline) {
  line('\n### Targets\n');
  row(['target', 'most', 'measured', 'baseline', '']);
  row(['---', '---:', '---:', '---:', '---']);
  for (const { id, what, unit, most, aim, value } of TARGETS.filter((one) => one.id in medians)) {
    const measured = value(medians[id].bare, medians[id].relay);
    const then =
      baseline?.medians[id] === undefined
        ? null
        : value(baseline.medians[id].bare, baseline.medians[id].relay);
    const verdict = measured <= most ? 'met' : 'MISSED';
    const aimed = aim === undefined ? '' : measured <= aim ? ', aim met' : `, aim ${aim} missed`;
    row([
      what,
      `${most}${unit}`,
      `${measured.toFixed(2)}${unit}`,
      then === null ? '' : `${then.toFixed(2)}${unit}`,
      verdict + aimed,
    ]);
  }
}

function printOperations(operations) {
  line('\n### Billable operations, counted, a request\n');
  row([
    '',
    'object requests, alarms',
    'of them Pool',
    'object rows written',
    'object rows read',
    'D1 rows written',
    'of them log',
    'D1 rows read',
    '$ a million, no log',
    'with log',
  ]);
  row(['---', ...Array.from({ length: 9 }, () => '---:')]);
  for (const [what, counts] of Object.entries(operations)) {
    const withLog = dollarsAMillion(counts);
    row([
      what,
      shown(counts.ledgerRequests + counts.poolRequests, 3),
      shown(counts.poolRequests, 3),
      shown(counts.objectRowsWritten, 3),
      shown(counts.objectRowsRead, 3),
      shown(counts.d1RowsWritten, 3),
      shown(counts.logLines, 3),
      shown(counts.d1RowsRead, 3),
      shown(withLog - PRICES.written * counts.logLines, 2),
      shown(withLog, 2),
    ]);
  }
  line(
    '\nList prices; the Worker request is in them. CPU, object time and deleting old rows are not.',
  );
  const [usual] = Object.values(operations);
  const withLog = dollarsAMillion(usual);
  const prices = [withLog - PRICES.written * usual.logLines, withLog];
  const isMet = prices.every((price, n) => price <= DOLLARS_MOST[n]);
  line(`At most ${DOLLARS_MOST.join(' and ')} in the first row: ${isMet ? 'met' : 'MISSED'}.`);
}

function dollarsAMillion(counts) {
  const { ledgerRequests, poolRequests, objectRowsWritten, d1RowsWritten } = counts;
  return (
    PRICES.worker +
    PRICES.object * (ledgerRequests + poolRequests) +
    PRICES.written * (objectRowsWritten + d1RowsWritten) +
    PRICES.read * (counts.objectRowsRead + counts.d1RowsRead)
  );
}

/** What the Ledger's two calls cost as rules alone: no object, no SQLite, no network. */
function printLedger(ledger) {
  line('\n### The rules of admit and settle, µs of CPU a request, in Node\n');
  row(['', 'admit', 'settle', 'together', 'most', "rows' JSON", 'checkpoint', '']);
  row(['---', ...Array.from({ length: 6 }, () => '---:'), '---']);
  for (const { what, most, admit, settle, rows, checkpoint } of ledger) {
    const both = admit + settle;
    const verdict = most === null ? '' : both <= most ? 'met' : 'MISSED';
    const [a, s, t, r, c] = [admit, settle, both, rows, checkpoint].map((us) => shown(us, 1));
    row([what, a, s, t, most ?? '', r, c, verdict]);
  }
}

const shown = (value, digits) => (value === null ? '' : value.toFixed(digits));
const row = (cells) => line(`| ${cells.join(' | ')} |`);
const line = (text) => console.log(text);
