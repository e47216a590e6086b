// Ordered SQL for an object's own storage. Steps are only ever appended.

/** Runs the steps that this object has not seen; commits with the constructor's other writes. */
export function migrate(sql: SqlStorage, steps: readonly string[]): void {
  sql.exec('CREATE TABLE IF NOT EXISTS migrations (step INTEGER PRIMARY KEY) STRICT');
  const done = sql.exec<{ n: number }>('SELECT count(*) AS n FROM migrations').one().n;
  for (const [index, step] of steps.entries()) {
    if (index < done) continue;
    sql.exec(step);
    sql.exec('INSERT INTO migrations (step) VALUES (?)', index + 1);
  }
}
