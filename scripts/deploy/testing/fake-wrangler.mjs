// fake-cloudflare.mjs as a program, to be spawned where wrangler would be. Writes down the
// environment it was given, so that a test can look for secrets in it.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './fake-cloudflare.mjs';

const folder = process.env['FAKE_CLOUDFLARE'] ?? '';
writeFileSync(join(folder, 'environment.json'), JSON.stringify(process.env));
const given = process.argv.slice(2);
const answer = runCommand(folder, given, readFileSync(0, 'utf8'));
for (const report of answer.reports) {
  appendFileSync(process.env['WRANGLER_OUTPUT_FILE_PATH'] ?? '', `${JSON.stringify(report)}\n`);
}
process.stdout.write(answer.stdout);
process.stderr.write(answer.stderr);
process.exitCode = answer.code;
