// Which addresses the data plane answers, with which methods, and who may call them. Every route
// has an auth row; what is not here does not exist.

export type Operation =
  | 'messages'
  | 'count_tokens'
  | 'models'
  | 'model'
  | 'key-info'
  | 'usage'
  | 'health'
  | 'hello'
  | 'not-offered';

export interface Route {
  readonly operation: Operation;
  readonly methods: readonly string[];
  /** `key`: a relay key is demanded before anything else is looked at. */
  readonly auth: 'key' | 'none';
  /** Matches a path whose `/api` or nothing in front was cut off. */
  readonly path: RegExp;
}

/** `/api/v1/…` and `/v1/…` are one; a query is never looked at. */
const PREFIX = String.raw`^(?:\/api)?`;

function claude(path: string): RegExp {
  return new RegExp(`${PREFIX}${path}$`);
}

export const ROUTES: readonly Route[] = [
  { operation: 'messages', methods: ['POST'], auth: 'key', path: claude('/v1/messages') },
  {
    operation: 'count_tokens',
    methods: ['POST'],
    auth: 'key',
    path: claude('/v1/messages/count_tokens'),
  },
  { operation: 'models', methods: ['GET'], auth: 'key', path: claude('/v1/models') },
  { operation: 'model', methods: ['GET'], auth: 'key', path: claude('/v1/models/[^/]{1,256}') },
  { operation: 'key-info', methods: ['GET'], auth: 'key', path: claude('/v1/key-info') },
  { operation: 'usage', methods: ['GET'], auth: 'key', path: claude('/api/oauth/usage') },
  {
    operation: 'not-offered',
    methods: ['GET', 'POST', 'DELETE'],
    auth: 'key',
    path: claude('/v1/(?:files|skills|messages/batches)(?:/.*)?'),
  },
  { operation: 'hello', methods: ['GET', 'HEAD'], auth: 'none', path: claude('/api/hello') },
  { operation: 'hello', methods: ['GET', 'HEAD'], auth: 'none', path: /^\/$/ },
  { operation: 'health', methods: ['GET', 'HEAD'], auth: 'none', path: /^\/health$/ },
];

/** The route of a path; null: there is none. */
export function routeOf(pathname: string): Route | null {
  return ROUTES.find((route) => route.path.test(pathname)) ?? null;
}

/** The path at a host that speaks Anthropic's protocol itself. */
export function upstreamPath(pathname: string): string {
  return pathname.startsWith('/api/') ? pathname.slice('/api'.length) : pathname;
}
