// `npm test`: does its own set-up from a bare clone (packages, a Node that is new enough), then
// runs every gate (check.mjs). Nothing else.

import { withToolchain } from './lib/toolchain.mjs';

await withToolchain(import.meta.url, async () => {
  await import('./check.mjs');
  return Number(process.exitCode ?? 0);
});
