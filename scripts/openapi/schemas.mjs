// The limits of a key, a user or a wallet, described by hand: the Worker checks them by its own
// rule (workers/domain/limits/limit-set.ts), not by a schema. A test holds both against each other.

const DAY_MS = 86_400_000;
const LIFETIME_MS_MAX = 10 * 366 * DAY_MS;

const windows = {
  type: 'array',
  description: 'At most `limit` in any `spanMs`.',
  minItems: 1,
  maxItems: 4,
  items: {
    type: 'object',
    required: ['limit', 'spanMs'],
    properties: {
      limit: { type: 'integer', minimum: 1 },
      spanMs: { type: 'integer', minimum: 1000, maximum: DAY_MS },
    },
    additionalProperties: false,
  },
};

const patterns = {
  type: 'array',
  minItems: 1,
  maxItems: 64,
  items: { type: 'string', minLength: 1, maxLength: 128 },
};

const shared = {
  requests: windows,
  tokens: windows,
  cost: { ...windows, description: 'At most `limit` nano-dollars in any `spanMs`.' },
  concurrency: { type: 'integer', minimum: 1, maximum: 10_000 },
  budgets: {
    type: 'array',
    description: 'By the calendar of the holder’s time zone.',
    minItems: 1,
    maxItems: 16,
    items: {
      type: 'object',
      required: ['period', 'limitNanos'],
      properties: {
        period: { enum: ['day', 'week', 'month', 'total'] },
        limitNanos: { type: 'integer', minimum: 0 },
        family: { type: 'string', minLength: 1, maxLength: 128 },
      },
      additionalProperties: false,
    },
  },
  groups: {
    type: 'array',
    description: 'Labels of accounts: the one that answers has one of these.',
    minItems: 1,
    maxItems: 20,
    items: { type: 'string', minLength: 1, maxLength: 64 },
  },
};

const ofKeys = {
  models: {
    type: 'object',
    description: 'Patterns of model names, with `*`.',
    properties: { allow: patterns, deny: patterns },
    additionalProperties: false,
  },
  protocols: {
    type: 'array',
    minItems: 1,
    maxItems: 3,
    items: { enum: ['anthropic', 'openai', 'gemini'] },
  },
  clients: { ...patterns, description: 'Patterns of user agents.' },
  addresses: {
    type: 'array',
    description: 'Addresses and ranges such as 10.0.0.0/8.',
    minItems: 1,
    maxItems: 64,
    items: { type: 'string' },
  },
  activation: {
    type: 'object',
    description: 'The key’s life begins at its first use.',
    required: ['lifetimeMs'],
    properties: { lifetimeMs: { type: 'integer', minimum: 1000, maximum: LIFETIME_MS_MAX } },
    additionalProperties: false,
  },
  waitsForCacheMs: {
    type: 'integer',
    description: 'How long a turn may wait for the account that has its prompt in the cache.',
    minimum: 0,
    maximum: 20_000,
  },
};

/** By the title that the contract's schema has. @type {Record<string, any>} */
export const SHARED_SCHEMAS = {
  KeyLimits: {
    type: 'object',
    description: 'What is left out is not limited; `{}` limits nothing.',
    properties: { ...shared, ...ofKeys },
    additionalProperties: false,
  },
  HolderLimits: {
    type: 'object',
    description: 'Of a user or a wallet. What is left out is not limited.',
    properties: shared,
    additionalProperties: false,
  },
};
