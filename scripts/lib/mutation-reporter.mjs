// A reporter for Stryker (`npm run mutate` loads it by its path): writes a line for the plan and
// one for every change as soon as it was tried, so that a run that is cut short has said all it
// knows. It judges and counts nothing.

/** How a line begins that is for scripts/mutate.mjs; JSON follows. */
export const LINE = 'mutate:';

/**
 * What Stryker loads.
 * @public
 */
export const strykerPlugins = [{ kind: 'Reporter', name: 'lines', factory: reporter }];

/**
 * @typedef {object} Tried one change of the source
 * @property {string} fileName
 * @property {string} mutatorName kind of change
 * @property {string} status `Killed`, `Timeout`, `Survived`, `NoCoverage`; others do not count
 * @property {string} [replacement]
 * @property {{ start: Place, end: Place }} location counted from 1
 *
 * @typedef {{ line: number, column: number }} Place
 */

function reporter() {
  return {
    /** @param {{ mutantPlans: readonly unknown[] }} plan */
    onMutationTestingPlanReady({ mutantPlans }) {
      write({ planned: mutantPlans.length });
    },
    /** @param {Tried} tried */
    onMutantTested({ fileName, mutatorName, status, replacement = '', location }) {
      write({ fileName, mutatorName, status, replacement, location });
    },
  };
}

/** @param {object} said */
function write(said) {
  process.stdout.write(`\n${LINE}${JSON.stringify(said)}\n`);
}
