// `npm run deploy`: puts the relay into a Cloudflare account, or brings the one there up to date.
// This file only catches what goes wrong; the journey is deploy/run.mjs, the manual docs/deploy.md.

import { deploy } from './deploy/run.mjs';
import { explain } from './lib/say.mjs';

try {
  process.exitCode = await deploy({ arguments: process.argv.slice(2) });
} catch (problem) {
  explain(problem);
  process.exitCode = 1;
}
