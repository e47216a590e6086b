// The playground: somebody who is logged in asks a model, with a key of their own that is named and
// never sent. Body, answer and errors are those of the Messages API, not of the control plane.

import { endpoint, PERSON_WRITES } from './endpoint';

/** Header that names the key, by its id; absent: the newest that may be used. */
export const PLAYGROUND_KEY_HEADER = 'x-relay-key';

export const playground = {
  messages: endpoint({
    name: 'playground.messages',
    method: 'POST',
    path: '/api/relay/messages',
    access: PERSON_WRITES,
    summary: 'A Messages request with one of your own keys, named by x-relay-key; streams too.',
    produces: ['application/json', 'text/event-stream'],
  }),
} as const;
