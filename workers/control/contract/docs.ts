// The description of the API itself: for programs, and as a page for people. Both say what anybody
// may know; neither needs a login.

import { ANYONE, endpoint } from './endpoint';

export const docs = {
  schema: endpoint({
    name: 'docs.schema',
    method: 'GET',
    path: '/openapi.json',
    access: ANYONE,
    summary: 'Describes this API as OpenAPI 3.1.',
    produces: ['application/json'],
  }),
  page: endpoint({
    name: 'docs.page',
    method: 'GET',
    path: '/api-docs',
    access: ANYONE,
    summary: 'Shows that description to people.',
    produces: ['text/html'],
  }),
} as const;
