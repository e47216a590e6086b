// What accounts of a kind need and take beside what all have, and where they are called when nobody
// says where (reference: Anthropic wire facts §8). Whether an address may be called at all is
// address.ts's to say.

import type { AccountKind } from '../../domain/snapshot';

/** Where an account is, as far as its kind has such a thing. */
export interface Place {
  readonly region: string | null;
  readonly project: string | null;
  readonly workspace: string | null;
}

type Part = keyof Place;

interface KindRules {
  /** Parts that an account of the kind must have, and others that it may have. */
  readonly needs: readonly Part[];
  readonly takes: readonly Part[];
  /** The base URL there; null: it must be said. */
  readonly addressIn: (place: Place) => string | null;
}

const PARTS: readonly Part[] = ['region', 'project', 'workspace'];

/** A kind without an entry does not compile. */
const RULES: Readonly<Record<AccountKind, KindRules>> = {
  anthropic: {
    needs: [],
    takes: ['workspace'],
    addressIn: () => 'https://api.anthropic.com',
  },
  'anthropic-compatible': { needs: [], takes: ['workspace'], addressIn: () => null },
  aws: {
    needs: ['region', 'workspace'],
    takes: [],
    addressIn: ({ region }) => inRegion(region, (name) => `aws-external-anthropic.${name}.api.aws`),
  },
  bedrock: {
    needs: ['region'],
    takes: [],
    addressIn: ({ region }) => inRegion(region, (name) => `bedrock-runtime.${name}.amazonaws.com`),
  },
  'bedrock-mantle': {
    needs: ['region'],
    takes: [],
    addressIn: ({ region }) => inRegion(region, (name) => `bedrock-mantle.${name}.api.aws`),
  },
  // The project is the credential's own unless another one is said.
  vertex: {
    needs: ['region'],
    takes: ['project'],
    addressIn: ({ region }) => inRegion(region, vertexHost),
  },
  // A resource is called a project here: it is what the account belongs to.
  foundry: {
    needs: ['project'],
    takes: [],
    addressIn: ({ project }) => inRegion(project, (name) => `${name}.services.ai.azure.com`),
  },
};

function inRegion(name: string | null, hostOf: (name: string) => string): string | null {
  return name === null ? null : `https://${hostOf(name)}`;
}

/** The global place, those that keep data in one (`us`, `eu`), and each region's own. */
function vertexHost(region: string): string {
  if (region === 'global') return 'aiplatform.googleapis.com';
  const isMulti = region === 'us' || region === 'eu';
  return isMulti
    ? `aiplatform.${region}.rep.googleapis.com`
    : `${region}-aiplatform.googleapis.com`;
}

/** What is wrong with the place, by field; null: nothing. */
export function placeProblem(
  kind: AccountKind,
  place: Place,
): Readonly<Record<string, string>> | null {
  const { needs, takes } = RULES[kind];
  const problems = PARTS.flatMap((part) => {
    if (place[part] === null) return needs.includes(part) ? [[part, 'is needed']] : [];
    const isKnown = needs.includes(part) || takes.includes(part);
    return isKnown ? [] : [[part, `is nothing that accounts of kind ${kind} have`]];
  });
  return problems.length === 0 ? null : Object.fromEntries(problems);
}

/** Where accounts of the kind are called in this place; null: it must be said. */
export function usualAddress(kind: AccountKind, place: Place): string | null {
  return RULES[kind].addressIn(place);
}
