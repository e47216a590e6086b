// The data plane's addresses in short. Bodies and answers are those of the Messages API, passed on
// byte for byte, so they are named and not described. A test compares the paths with the router's.

export const DATA_PLANE_GROUP = {
  name: 'Relay',
  description:
    'What Claude clients speak, with a relay key. The same paths without `/api` work too.',
};

const JSON_OBJECT = { 'application/json': { schema: { type: 'object' } } };
const VERSION = {
  name: 'anthropic-version',
  in: 'header',
  required: false,
  schema: { type: 'string', examples: ['2023-06-01'] },
};
const MESSAGES = {
  'application/json': {
    schema: {
      type: 'object',
      description: 'A request of the Messages API; every field of it passes.',
      required: ['model', 'messages'],
      properties: {
        model: { type: 'string' },
        max_tokens: { type: 'integer', minimum: 1 },
        messages: { type: 'array', items: { type: 'object' } },
        stream: { type: 'boolean' },
      },
      additionalProperties: true,
    },
  },
};

/** @type {Record<string, any>} */
export const DATA_PLANE_PATHS = {
  '/api/v1/messages': {
    post: operation('messages', 'Sends a message to a model, and streams its answer.', {
      parameters: [VERSION],
      requestBody: { required: true, content: MESSAGES },
      content: { ...JSON_OBJECT, 'text/event-stream': { schema: { type: 'string' } } },
    }),
  },
  '/api/v1/messages/count_tokens': {
    post: operation('count_tokens', 'Counts the tokens of a message, without charge.', {
      parameters: [VERSION],
      requestBody: { required: true, content: MESSAGES },
    }),
  },
  '/api/v1/models': { get: operation('models', 'Lists the models that this key may use.') },
  '/api/v1/models/{model}': {
    get: operation('model', 'Shows a model.', {
      parameters: [{ name: 'model', in: 'path', required: true, schema: { type: 'string' } }],
    }),
  },
  '/api/v1/key-info': {
    get: operation('key-info', 'Shows what this key has used and what is left.'),
  },
  '/api/api/oauth/usage': {
    get: operation('usage', 'Shows how full the own budgets are, as Claude Code asks for it.'),
  },
  '/health': {
    get: operation('health', 'Says whether database, ledger and pool answer.', { open: true }),
  },
};

/**
 * @param {string} name
 * @param {string} summary
 * @param {{ parameters?: object[], requestBody?: object, content?: object, open?: boolean }} [more]
 */
function operation(name, summary, { content = JSON_OBJECT, open = false, ...more } = {}) {
  return {
    operationId: `data.${name}`,
    tags: [DATA_PLANE_GROUP.name],
    summary,
    security: open ? [] : [{ relayKey: [] }, { relayKeyHeader: [] }],
    ...more,
    responses: {
      200: { description: 'Done.', content },
      default: {
        description: 'Refused.',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/RelayError' } } },
      },
    },
  };
}
