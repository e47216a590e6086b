// What Cloudflare has around a Worker and raw workerd has not: a D1 database (one SQLite object
// behind D1's own client, which workerd ships) and a way to read what a run would be billed for.
// No replicas, no bookmarks, no export; nothing here is part of the relay.

import { DurableObject } from 'cloudflare:workers';

/**
 * Answers D1's HTTP protocol (`/query`, `/execute`), and for the bench `/script`, `/flush` (a
 * wallet's alarm, now) and `/counts`.
 */
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const database = env.DATABASE.get(env.DATABASE.idFromName('bench'));
    if (pathname === '/script') {
      await database.script(await request.text());
      return new Response('done');
    }
    const wallet = searchParams.get('wallet');
    if (pathname === '/flush') {
      await env.LEDGER.get(env.LEDGER.idFromName(wallet)).benchAlarm();
      return new Response('done');
    }
    if (pathname === '/counts') {
      const ledger = await env.LEDGER.get(env.LEDGER.idFromName(wallet)).benchCounts();
      const pool = await env.POOL.get(env.POOL.idFromName('pool')).benchCounts();
      return Response.json({ ledger, pool, database: await database.counts() });
    }
    const given = await request.json();
    const answer = await database.run(
      Array.isArray(given) ? given : [given],
      searchParams.get('resultsFormat'),
    );
    return Response.json(answer, { status: answer.error === undefined ? 200 : 500 });
  },
};

/** Outside the object, which workerd puts away after ten idle seconds. */
const counts = { calls: 0, rowsWritten: 0, rowsRead: 0, logLines: 0 };

export class DatabaseObject extends DurableObject {
  script(text) {
    this.ctx.storage.sql.exec(text).toArray();
  }

  counts() {
    return counts;
  }

  /** All of `queries` in one transaction, or none. */
  run(queries, format) {
    counts.calls += 1;
    try {
      return this.ctx.storage.transactionSync(() => queries.map((one) => this.#one(one, format)));
    } catch (error) {
      return { success: false, error: error instanceof Error ? error.message : String(error) };
    }
  }

  #one({ sql, params }, format) {
    const { sql: storage } = this.ctx.storage;
    const before = changesOf(storage);
    const bound = (params ?? []).map((value) =>
      Array.isArray(value) ? new Uint8Array(value).buffer : value,
    );
    const cursor = storage.exec(sql, ...bound);
    const columns = cursor.columnNames;
    const rows = Array.from(cursor.raw(), (row) => row.map(cellOf));
    counts.rowsWritten += cursor.rowsWritten;
    counts.rowsRead += cursor.rowsRead;
    if (sql.startsWith('INSERT INTO requests ')) counts.logLines += cursor.rowsWritten;
    const after = changesOf(storage);
    const meta = {
      served_by: 'bench',
      duration: 0,
      changes: after.changes - before.changes,
      last_row_id: after.lastRowId,
      changed_db: after.changes !== before.changes,
      size_after: storage.databaseSize,
      rows_read: cursor.rowsRead,
      rows_written: cursor.rowsWritten,
    };
    const asObjects = () =>
      rows.map((row) => Object.fromEntries(columns.map((name, n) => [name, row[n]])));
    const results = format === 'ROWS_AND_COLUMNS' ? { columns, rows } : asObjects();
    return { success: true, results, meta };
  }
}

function changesOf(storage) {
  return storage.exec('SELECT total_changes() AS changes, last_insert_rowid() AS lastRowId').one();
}

function cellOf(value) {
  return value instanceof ArrayBuffer ? Array.from(new Uint8Array(value)) : value;
}
