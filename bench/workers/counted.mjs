// The relay's bundle with its object classes counted: every call from outside, every alarm set.
// Used for counting what is billed, never for timing.

import relay, { LedgerObject, PoolObject } from './index.js';

export default relay;

function counted(Base) {
  const named = Object.getOwnPropertyNames(Base.prototype).filter(
    (name) => name !== 'constructor' && name !== 'counters',
  );
  class Counted extends Base {
    #counts;
    #collect;

    constructor(ctx, env) {
      const counts = { calls: {}, alarmsSet: 0, rowsWritten: 0, rowsRead: 0 };
      const collect = count(ctx.storage, counts);
      super(ctx, env);
      this.#counts = counts;
      this.#collect = collect;
    }

    benchCounts() {
      this.#collect();
      return this.#counts;
    }

    benchTally(name) {
      this.#counts.calls[name] = (this.#counts.calls[name] ?? 0) + 1;
    }
  }
  for (const name of named) {
    Counted.prototype[name] = function (...given) {
      this.benchTally(name);
      return Base.prototype[name].apply(this, given);
    };
  }
  return Counted;
}

/** Puts a count before the storage's own methods; the cursors tell their rows when they are spent. */
function count(storage, counts) {
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  const setAlarm = storage.setAlarm.bind(storage);
  const open = [];
  const collect = () => {
    for (const cursor of open.splice(0)) {
      counts.rowsWritten += cursor.rowsWritten;
      counts.rowsRead += cursor.rowsRead;
    }
  };
  Object.defineProperty(sql, 'exec', {
    value: (...given) => {
      collect();
      const cursor = exec(...given);
      open.push(cursor);
      return cursor;
    },
  });
  Object.defineProperty(storage, 'setAlarm', {
    value: (...given) => {
      counts.alarmsSet += 1;
      return setAlarm(...given);
    },
  });
  return collect;
}

const CountedLedger = counted(LedgerObject);
const CountedPool = counted(PoolObject);
export { CountedLedger as LedgerObject, CountedPool as PoolObject };
