// What a kind of upstream does not take of a request that Anthropic's own API takes: one table.
// Refused is what changes the answer; left out is only what changes nothing without its field, or
// is documented as safe to leave out. What the table does not name goes on and is the upstream's
// to judge: fields and betas come with every release (reference: gateway contract §3; the feature
// pages of platform.claude.com for each cloud, 2026-11).

import type { AccountKind } from '../domain/snapshot';

/** What a request asks for beside its prompt. */
export interface Asked {
  /** Of the header `anthropic-beta`. */
  readonly betas: readonly string[];
  /** Essentials.fields. */
  readonly fields: readonly string[];
  /** Essentials.toolTypes. */
  readonly toolTypes: readonly string[];
}

/** The part of a request that a kind does not take. */
export interface Refusal {
  readonly field: string;
  /** For the client; names the field. */
  readonly why: string;
}

interface Capabilities {
  /** In the refusal's words. */
  readonly name: string;
  readonly refusedFields: readonly string[];
  /** By the start of their dated type. */
  readonly refusedTools: readonly string[];
  /** Members that are taken out of the body. */
  readonly leftOutFields: readonly string[];
  /** Betas that are not sent, by what stands before their date. */
  readonly leftOutBetas: readonly string[];
  /** Betas that have another name there. */
  readonly renamedBetas: Readonly<Record<string, string>>;
}

const ALL: Omit<Capabilities, 'name'> = {
  refusedFields: [],
  refusedTools: [],
  leftOutFields: [],
  leftOutBetas: [],
  renamedBetas: {},
};

/** What lives in Anthropic's own organizations and workspaces. */
const ANTHROPICS_OWN = [
  'safeguards',
  'mcp_servers',
  'container',
  'fallbacks',
  'fallback_credit_token',
  'thread',
  'inference_geo',
  'billing_policy',
  'speed',
];

/**
 * These only allow a field, a tool or an id that is refused above or is not in this request at all:
 * alone they do nothing but make a cloud answer "invalid beta flag".
 */
const BETAS_OF_ANTHROPICS_OWN = [
  'request-tags',
  'afk-mode',
  'fast-mode',
  'files-api',
  'mcp-client',
  'mcp-servers',
  'skills',
  'code-execution',
  'advisor-tool',
  'server-side-fallback',
  'oauth',
];

/** Of what this beta allows at Anthropic's API, clouds have tool search (docs: tool search). */
const TOOL_SEARCH = { 'advanced-tool-use-2025-11-20': 'tool-search-tool-2025-10-19' };

const RUN_BY_ANTHROPIC = ['web_fetch_', 'code_execution_', 'advisor_', 'mcp_toolset'];

const AMAZON = {
  refusedFields: ANTHROPICS_OWN,
  refusedTools: [...RUN_BY_ANTHROPIC, 'web_search_'],
  leftOutFields: ['tags'],
  leftOutBetas: [...BETAS_OF_ANTHROPICS_OWN, 'web-fetch', 'web-search'],
  renamedBetas: TOOL_SEARCH,
};

const CAPABILITIES: Readonly<Record<AccountKind, Capabilities>> = {
  anthropic: { ...ALL, name: 'the Claude API' },
  'anthropic-compatible': { ...ALL, name: 'this upstream' },
  aws: { ...ALL, name: 'Claude Platform on AWS' },
  bedrock: { ...AMAZON, name: 'Amazon Bedrock' },
  'bedrock-mantle': { ...AMAZON, name: 'Amazon Bedrock' },
  vertex: {
    ...AMAZON,
    name: 'Google Cloud',
    // It runs web search itself.
    refusedTools: RUN_BY_ANTHROPIC,
    leftOutBetas: [...BETAS_OF_ANTHROPICS_OWN, 'web-fetch'],
  },
  foundry: {
    ...ALL,
    name: 'Microsoft Foundry',
    refusedFields: ['speed', 'inference_geo'],
    leftOutBetas: ['fast-mode', 'oauth'],
  },
};

/** The first part of a request that an account of `kind` would not take; null: none is known. */
export function refusalOf(kind: AccountKind, { fields, toolTypes }: Asked): Refusal | null {
  const { name, refusedFields, refusedTools } = CAPABILITIES[kind];
  const field = fields.find((one) => refusedFields.includes(one));
  if (field !== undefined) {
    return { field, why: `${field}: Extra inputs are not permitted: ${name} does not take it` };
  }
  const tool = toolTypes.find((type) => refusedTools.some((start) => type.startsWith(start)));
  if (tool === undefined) return null;
  return { field: 'tools', why: `tools: ${name} does not offer the tool ${tool}` };
}

/** Members that are taken out of a body for `kind`. */
export function leftOutFields(kind: AccountKind): readonly string[] {
  return CAPABILITIES[kind].leftOutFields;
}

/** The betas that `kind` is sent in place of `betas`, in their order, each once. */
export function betasFor(kind: AccountKind, betas: readonly string[]): readonly string[] {
  const { leftOutBetas, renamedBetas } = CAPABILITIES[kind];
  const kept = betas
    .filter((beta) => !leftOutBetas.includes(beta.replace(/-\d{4}-\d{2}-\d{2}$/, '')))
    .map((beta) => (Object.hasOwn(renamedBetas, beta) ? (renamedBetas[beta] ?? beta) : beta));
  return [...new Set(kept)];
}
