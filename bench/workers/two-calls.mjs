// The floor of any durable relay: a pass-through that also asks one SQLite object twice, each call
// writing one row, as admit and settle do. No key, no price, no body read: only the platform's
// part.

import { DurableObject } from 'cloudflare:workers';

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const ledger = env.LEDGER.get(env.LEDGER.idFromName('bench'));
    const seq = await ledger.open(CALL);
    const response = await fetch(new Request(`${env.UPSTREAM}${url.pathname}`, request));
    ctx.waitUntil(ledger.close(seq, CALL));
    return response;
  },
};

/** About what a request's row holds. */
const CALL = JSON.stringify({ id: 'x'.repeat(26), key: 'x'.repeat(26), text: 'x'.repeat(300) });

export class FloorObject extends DurableObject {
  #seq;

  constructor(ctx, env) {
    super(ctx, env);
    const { sql } = ctx.storage;
    sql.exec(
      'CREATE TABLE IF NOT EXISTS requests ' +
        '(seq INTEGER PRIMARY KEY, opened TEXT NOT NULL, closed TEXT) STRICT',
    );
    this.#seq = sql.exec('SELECT coalesce(max(seq), 0) AS seq FROM requests').one().seq;
  }

  open(call) {
    this.#seq += 1;
    this.ctx.storage.sql.exec('INSERT INTO requests (seq, opened) VALUES (?, ?)', this.#seq, call);
    return this.#seq;
  }

  close(seq, call) {
    this.ctx.storage.sql.exec('UPDATE requests SET closed = ? WHERE seq = ?', call, seq);
  }
}
