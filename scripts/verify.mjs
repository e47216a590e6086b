// `npm run verify [-- <address>]`: asks a running relay whether it does what it is for, the way its
// users do: a line each, PASS or FAIL, and 1 as exit code when something failed. It sends one small
// request, which a real account bills; what it makes, it takes away again.

import { explain } from './lib/say.mjs';
import { verify } from './verify/run.mjs';

try {
  process.exitCode = await verify(process.argv.slice(2), process.env);
} catch (problem) {
  explain(problem);
  process.exitCode = 1;
}
