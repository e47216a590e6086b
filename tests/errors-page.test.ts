import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { facts } from '../workers/domain/errors';
import { REFUSALS } from '../workers/control/refusals';
import { ERROR_EXAMPLES } from './support/error-examples';

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');

describe('docs/errors.md', () => {
  it('has a true row for every error that anyone outside can meet, and no other', () => {
    const rows = Object.values(ERROR_EXAMPLES)
      .flat()
      .map((error) => {
        const { status, errorClass, code, retry, retryAfterMs } = facts(error);
        const advice = retry === null ? 'client’s own rule' : String(retry);
        const after = retryAfterMs === null ? '' : ', `retry-after`';
        return `| ${status} | \`${errorClass}\` | \`${code}\` | ${advice}${after} |`;
      });
    const listed = page.split('\n').filter((line) => /^\| \d{3} \| `\w+` \| `/.test(line));
    expect([...new Set(listed)].toSorted()).toEqual([...new Set(rows)].toSorted());
  });

  it('has a true row for every refusal of the control plane, and no other', () => {
    const rows = Object.entries(REFUSALS).map(
      ([code, { status, message }]) => `| ${status} | \`${code}\` | ${message} |`,
    );
    const [, controlPlane = ''] = page.split('## The control plane');
    const listed = controlPlane.split('\n').filter((line) => /^\| \d{3} \|/.test(line));
    expect(listed.toSorted()).toEqual(rows.toSorted());
  });
});
