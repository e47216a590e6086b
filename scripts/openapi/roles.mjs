// Who may call what, as a table: every operation of the control plane by the callers that there
// are. It reads what the API's description says of each; that the doors keep to it is tested beside
// the Worker (workers/manifest.workerd.test.ts).

/** @typedef {{ by: string, area?: string, writes?: boolean, secret?: string }} Access */

/** Who may stand at a door, in the order of the columns. */
const CALLERS = ['anyone', 'user', 'viewer', 'admin'];

/**
 * One line an operation, in the order of the addresses.
 * @param {Record<string, Record<string, any>>} paths of openapi.json
 */
export function rolesTable(paths) {
  const rows = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, operation]) => {
      /** @type {Access | undefined} Absent: of the data plane, where keys decide. */
      const access = operation['x-access'];
      if (access === undefined) return [];
      const marks = CALLERS.map((caller) => (mayCall(access, caller) ? 'yes' : '-'));
      return [[method.toUpperCase(), path, ...marks, otherwise(access)]];
    }),
  );
  const table = [['', '', ...CALLERS, 'or with'], ...rows];
  const widths = table[0]?.map((_, column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  );
  const lines = table.map((row) =>
    row.map((cell, column) => cell.padEnd(widths?.[column] ?? 0)).join('  '),
  );
  return lines.map((line) => line.trimEnd()).join('\n');
}

/** @param {Access} access @param {string} caller */
function mayCall({ by, writes = false }, caller) {
  switch (by) {
    case 'anyone':
      return true;
    case 'person':
      return caller !== 'anyone' && !(writes && caller === 'viewer');
    case 'staff':
      return caller === 'admin' || (caller === 'viewer' && !writes);
    case 'admin':
      return caller === 'admin';
    default:
      return false;
  }
}

/** What opens it that is no login. @param {Access} access */
function otherwise({ by, area, writes = false, secret }) {
  if (by === 'secret') return `the ${secret} secret`;
  return by === 'staff' ? `a token: ${writes ? 'write' : 'read'}:${area}` : '-';
}
