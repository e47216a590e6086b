// Weighted rendezvous hashing: every edge ranks the same accounts the same way for the same tag,
// with nothing stored. It knows nothing of health or priority: those filter before it (rank.ts).
//
// Each account draws -weight / ln(u), u being its hash with the tag; the highest wins. Such draws
// race: the best of a group's members is distributed like one draw of their weights' sum. So
// groups are ranked by their best member, which is a weighted choice among groups, and removing
// one account moves only the tags that were its own, also within a group.

/** What the choice needs to know of an account. */
interface Weighted {
  readonly id: string;
  /** Share of the tags, relative to the others; zero or less takes none. */
  readonly weight: number;
  /** Accounts that share a prompt cache; null: a group of its own. */
  readonly group: string | null;
}

/**
 * `accounts` from the first choice for `tag` to the last. The rest of a group comes before any
 * other group, because it shares the first choice's prompt cache. The order of the input does not
 * matter.
 */
export function rank<T extends Weighted>(tag: string, accounts: readonly T[]): readonly T[] {
  const begun = mixed(EMPTY, `${tag}\n`);
  const scored: { readonly account: T; readonly score: number }[] = [];
  for (const account of accounts) {
    const { id, weight } = account;
    if (weight > 0) scored.push({ account, score: weight / -Math.log(uniform(begun, id)) });
  }
  scored.sort((a, b) => b.score - a.score || (a.account.id < b.account.id ? -1 : 1));
  // Groups by their best member.
  const runs: T[][] = [];
  const groups = new Map<string, T[]>();
  for (const { account } of scored) {
    const { group } = account;
    const members = group === null ? undefined : groups.get(group);
    if (members !== undefined) {
      members.push(account);
      continue;
    }
    const run = [account];
    runs.push(run);
    if (group !== null) groups.set(group, run);
  }
  return runs.flat();
}

/** Two 32-bit lanes of MurmurHash3's mixing steps, crossed at the end. */
interface Lanes {
  readonly high: number;
  readonly low: number;
}

const EMPTY: Lanes = { high: 0x9e3779b9, low: 0x85ebca6b };

function mixed({ high: oldHigh, low: oldLow }: Lanes, text: string): Lanes {
  let high = oldHigh;
  let low = oldLow;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 0xcc9e2d51);
    high = (high << 13) | (high >>> 19);
    low = Math.imul(low ^ unit, 0x1b873593);
    low = (low << 15) | (low >>> 17);
  }
  return { high, low };
}

/** A number in (0, 1), exclusive at both ends, even over all pairs of a beginning and an id. */
function uniform(begun: Lanes, id: string): number {
  const lanes = mixed(begun, id);
  const high = finalize(lanes.high ^ Math.imul(lanes.low, 0xe6546b64));
  const low = finalize(lanes.low ^ high);
  // 52 bits and a half: both ends stay out of reach, and the sum is exact.
  return (high * 2 ** 20 + (low >>> 12) + 0.5) / 2 ** 52;
}

/** MurmurHash3's fmix32: every bit of the input reaches every bit of the answer. */
function finalize(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
