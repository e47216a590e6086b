// What happens between a handler's look at D1 and its change: the other half of a race, always in
// the same place.

import { env } from 'cloudflare:workers';
import { vi } from 'vitest';

/** Does `action` once, before the next batch reaches D1; until mocks are restored. */
export function beforeNextBatch(action: () => Promise<unknown>): void {
  let isDone = false;
  const withSession = env.DB.withSession.bind(env.DB);
  vi.spyOn(env.DB, 'withSession').mockImplementation((...constraint) => {
    const session = withSession(...constraint);
    const batch = async (statements: D1PreparedStatement[]) => {
      if (!isDone) {
        isDone = true;
        await action();
      }
      return session.batch(statements);
    };
    const prepare = session.prepare.bind(session);
    // Of the same type as what it stands for.
    return Object.assign(Object.create(session), { batch, prepare }) as D1DatabaseSession;
  });
}
