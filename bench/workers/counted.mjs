// The relay's bundle with its object classes counted: every call from outside, every alarm set and
// every alarm that came. Used for counting what is billed, never for timing.

import relay, { LedgerObject, PoolObject } from './index.js';

export default relay;
export { EgressObject, LiveObject, ThrottleObject } from './index.js';

/** Outside the objects, which workerd puts away after ten idle seconds. */
function freshCounts() {
  return { calls: {}, alarmsSet: 0, rowsWritten: 0, rowsRead: 0, cursors: [] };
}

function counted(Base) {
  const counts = freshCounts();
  const named = Object.getOwnPropertyNames(Base.prototype).filter(
    (name) => name !== 'constructor' && name !== 'counters',
  );
  class Counted extends Base {
    constructor(ctx, env) {
      countStorage(ctx.storage, counts);
      super(ctx, env);
    }

    benchCounts() {
      collect(counts);
      const { calls, alarmsSet, rowsWritten, rowsRead } = counts;
      return { calls, alarmsSet, rowsWritten, rowsRead };
    }

    /** The alarm, now: so that a run need not wait for it. Counted as the alarm that it is. */
    benchAlarm() {
      return this.alarm();
    }
  }
  for (const name of named) {
    Counted.prototype[name] = function called(...given) {
      counts.calls[name] = (counts.calls[name] ?? 0) + 1;
      return Base.prototype[name].apply(this, given);
    };
  }
  return Counted;
}

/** Puts a count before the storage's own methods. */
function countStorage(storage, counts) {
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  const setAlarm = storage.setAlarm.bind(storage);
  Object.defineProperty(sql, 'exec', {
    value: (...given) => {
      collect(counts);
      const cursor = exec(...given);
      counts.cursors.push(cursor);
      return cursor;
    },
  });
  Object.defineProperty(storage, 'setAlarm', {
    value: (...given) => {
      counts.alarmsSet += 1;
      return setAlarm(...given);
    },
  });
}

/** A cursor tells its rows when it is spent: at the latest when the next statement runs. */
function collect(counts) {
  for (const cursor of counts.cursors.splice(0)) {
    counts.rowsWritten += cursor.rowsWritten;
    counts.rowsRead += cursor.rowsRead;
  }
}

const CountedLedger = counted(LedgerObject);
const CountedPool = counted(PoolObject);
export { CountedLedger as LedgerObject, CountedPool as PoolObject };
