// How an upstream account stands, as Pool knows it: what holds it or a part of it back, why, and
// until when.

import * as z from 'zod/mini';
import { instant, nanos } from './fields';

/** What holds an account, or a part of it, back. */
const heldBack = z.strictObject({
  state: z.enum(['cooling', 'out', 'open', 'elsewhere']),
  /** In words. */
  reason: z.string(),
  /** As a request's attempts name it. */
  failure: z.string(),
  /** What is held back of the account: all of it, a family of models, … */
  of: z.enum(['account', 'family', 'model', 'provider', 'colo']),
  /** Which one; null: the account itself. */
  subject: z.nullable(z.string()),
  since: instant,
  /** null: until a probe succeeds, or a reset. */
  until: z.nullable(instant),
});
export type HeldBack = z.infer<typeof heldBack>;

/** How an account stands, as Pool knows it. */
export const standing = {
  /** `ready`: nothing holds back the whole of it. null: Pool has not said. */
  state: z.nullable(z.enum(['ready', 'cooling', 'out', 'open', 'elsewhere'])),
  /** What holds back the whole first, then what holds back a part. */
  reasons: z.array(heldBack),
  /** Counted over all isolates: approximate, rather too high. null: Pool has not said. */
  load: z.nullable(z.strictObject({ inFlight: z.int(), dayNanos: nanos, monthNanos: nanos })),
} as const;
