// Kinds of columns that tables share.

import { customType } from 'drizzle-orm/sqlite-core';
import type { Nanos } from '../domain/money';
import { nanos } from '../domain/money';

/** Nano-dollars in an INTEGER column; a value that is no safe integer throws, both ways. */
export const nanosColumn = customType<{ data: Nanos; driverData: number }>({
  dataType: () => 'integer',
  toDriver: (value) => nanos(value),
  fromDriver: (value) => nanos(value),
});
