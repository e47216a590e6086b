// Where things are. Every script is run from anywhere and finds the project by this file.

import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** A file or folder of the project. @param {...string} parts */
export function inProject(...parts) {
  return resolve(ROOT, ...parts);
}
