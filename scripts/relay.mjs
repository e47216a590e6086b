// `npm run relay -- <group> <command>`: the operator's way into a relay's API from a terminal.
// Plain Node without packages: it works wherever the project lies.

import { explain } from './lib/say.mjs';
import { main } from './relay/run.mjs';

try {
  process.exitCode = await main(process.argv.slice(2), process.env);
} catch (problem) {
  explain(problem);
  process.exitCode = 1;
}
