// What the scripts tell the person at the terminal: short lines, and one clear sentence when
// something cannot go on. Never prints a secret.

/** A failure explained in one sentence; anything else thrown is a bug and keeps its stack. */
export class Stop extends Error {
  /**
   * @param {string} sentence what is wrong and what to do about it
   * @param {string} [details] the failing tool's own words, shown above the sentence
   */
  constructor(sentence, details = '') {
    super(sentence);
    this.name = 'Stop';
    this.details = details;
  }
}

/** Prints a line. @param {string} line */
export function say(line) {
  process.stdout.write(`${line}\n`);
}

/** Prints why the script ends. @param {unknown} problem */
export function explain(problem) {
  if (problem instanceof Stop) {
    if (problem.details !== '') process.stderr.write(`${problem.details}\n`);
    process.stderr.write(`${problem.message}\n`);
    return;
  }
  process.stderr.write(`${problem instanceof Error ? problem.stack : String(problem)}\n`);
}

/** The message of anything thrown. @param {unknown} thrown */
export function wordsOf(thrown) {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The `code` of a system error, or ''. @param {unknown} thrown */
export function codeOf(thrown) {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

/** The last lines of a tool's output. @param {string} text @param {number} [count] */
export function tail(text, count = 20) {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
