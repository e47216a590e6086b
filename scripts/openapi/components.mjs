// What all operations share: how a caller is known, how a refusal looks, the header that makes a
// call safe to repeat.

export const COMPONENTS = {
  securitySchemes: {
    cookie: {
      type: 'apiKey',
      in: 'cookie',
      name: '__Host-access',
      description: 'Of browsers: set by a login. Changes are taken from the own origin alone.',
    },
    bearer: {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: 'Of programs: `tokens.access` of a login with `transport: bearer`; 10 minutes.',
    },
    serviceToken: {
      type: 'http',
      scheme: 'bearer',
      description: 'Of automation: `svc_…`, made by an admin; does what its scopes allow.',
    },
    relayKey: {
      type: 'http',
      scheme: 'bearer',
      description: 'Of the relay’s clients: `cr_…`. Opens the data plane and nothing else.',
    },
    relayKeyHeader: { type: 'apiKey', in: 'header', name: 'x-api-key' },
    setupSecret: { type: 'http', scheme: 'bearer', description: 'SETUP_SECRET.' },
    metricsSecret: { type: 'http', scheme: 'bearer', description: 'METRICS_TOKEN.' },
  },
  parameters: {
    IdempotencyKey: {
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description:
        'The same key with the same call gives the same answer for 24 hours and has one effect; ' +
        'with another call it is 409. Secrets are null in a repeated answer.',
      schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,200}$' },
    },
  },
  schemas: {
    Error: {
      type: 'object',
      required: ['error'],
      properties: {
        error: {
          type: 'object',
          required: ['code', 'message', 'requestId'],
          properties: {
            code: { type: 'string', description: 'Stable; docs/errors.md lists them.' },
            message: { type: 'string', description: 'For people.' },
            requestId: { type: 'string' },
            fields: {
              type: 'object',
              description: 'What is wrong, by field: `limits.requests[0].spanMs`.',
              additionalProperties: { type: 'string' },
            },
          },
        },
      },
    },
    RelayError: {
      type: 'object',
      description: 'The data plane’s refusals, in the form of the Messages API.',
      required: ['type', 'error', 'request_id'],
      properties: {
        type: { const: 'error' },
        error: {
          type: 'object',
          required: ['type', 'message'],
          properties: { type: { type: 'string' }, message: { type: 'string' } },
        },
        request_id: { type: 'string' },
      },
    },
  },
};
