// Where a wallet's object lives: Durable Object location hints. The region belongs to the wallet;
// its keys copy it.

export const REGIONS = ['wnam', 'enam', 'sam', 'weur', 'eeur', 'apac', 'oc', 'afr', 'me'] as const;
export type Region = (typeof REGIONS)[number];

const BY_CONTINENT: Readonly<Record<string, Region>> = {
  NA: 'enam',
  SA: 'sam',
  EU: 'weur',
  AS: 'apac',
  OC: 'oc',
  AF: 'afr',
};

/** The region nearest to a two-letter continent code; Western Europe when it is not known. */
export function regionOfContinent(continent: string | undefined): Region {
  return BY_CONTINENT[continent ?? ''] ?? 'weur';
}

/** Whether `text` names a region. */
export function isRegion(text: string): text is Region {
  return (REGIONS as readonly string[]).includes(text);
}
