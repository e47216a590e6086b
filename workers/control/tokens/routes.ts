// The addresses of API keys: one's own below /api/tokens, anybody's below /admin.

import { adminKeys, tokens } from '../contract/tokens';
import type { Endpoint } from '../contract/endpoint';
import type { Acting, Outcome, Route } from '../visit';
import { on } from '../visit';
import {
  alterKey,
  keyOf,
  makeKey,
  ownerOf,
  pageOfKeys,
  removeKey,
  rotateKey,
  shownKey,
  usageOfKey,
} from './keys';
import type { UserId } from '../../domain/ids';
import type { ManagedKey } from '../../store/key-changes';

const DISABLED = { status: 'disabled' } as const;
const ACTIVE = { status: 'active' } as const;

export const TOKEN_ROUTES: readonly Route[] = [
  on(tokens.list, async (visit) => pageOfKeys(visit, visit.actor.id, visit.query)),
  on(tokens.create, async (visit) => {
    const owner = await ownerOf(visit, visit.actor.id);
    return owner.ok ? makeKey(visit, owner.value, visit.body) : owner;
  }),
  on(tokens.read, async (visit) => own(visit, async (key) => shownKey(key))),
  on(tokens.change, async (visit) => own(visit, (key) => alterKey(visit, key, visit.body))),
  on(tokens.disable, async (visit) => own(visit, (key) => alterKey(visit, key, DISABLED))),
  on(tokens.enable, async (visit) => own(visit, (key) => alterKey(visit, key, ACTIVE))),
  on(tokens.rotate, async (visit) => own(visit, (key) => rotateKey(visit, key, visit.body))),
  on(tokens.delete, async (visit) => own(visit, (key) => removeKey(visit, key))),
  on(tokens.usage, async (visit) => own(visit, (key) => usageOfKey(visit, key))),

  on(adminKeys.list, async (visit) => pageOfKeys(visit, visit.query.userId ?? null, visit.query)),
  on(adminKeys.create, async (visit) => {
    const owner = await ownerOf(visit, visit.parameters['id'] ?? '');
    return owner.ok ? makeKey(visit, owner.value, visit.body) : owner;
  }),
  on(adminKeys.read, async (visit) => anybodys(visit, async (key) => shownKey(key))),
  on(adminKeys.change, async (visit) => anybodys(visit, (key) => alterKey(visit, key, visit.body))),
  on(adminKeys.disable, async (visit) => anybodys(visit, (key) => alterKey(visit, key, DISABLED))),
  on(adminKeys.enable, async (visit) => anybodys(visit, (key) => alterKey(visit, key, ACTIVE))),
  on(adminKeys.rotate, async (visit) =>
    anybodys(visit, (key) => rotateKey(visit, key, visit.body)),
  ),
  on(adminKeys.delete, async (visit) => anybodys(visit, (key) => removeKey(visit, key))),
  on(adminKeys.usage, async (visit) => anybodys(visit, (key) => usageOfKey(visit, key))),
];

type Work<E extends Endpoint> = (key: ManagedKey) => Promise<Outcome<E>>;

async function own<E extends Endpoint>(
  visit: Acting<E> & { readonly actor: { readonly id: UserId } },
  work: Work<E>,
): Promise<Outcome<E>> {
  const key = await keyOf(visit, visit.actor.id);
  return key.ok ? work(key.value) : key;
}

async function anybodys<E extends Endpoint>(visit: Acting<E>, work: Work<E>): Promise<Outcome<E>> {
  const key = await keyOf(visit, null);
  return key.ok ? work(key.value) : key;
}
