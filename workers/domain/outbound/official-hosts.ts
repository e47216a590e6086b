// Which hosts are a kind's own: the vendor's documented ones, as data. Whether a name may be called
// at all is public-name.ts; who allows another host, and where that is kept, is not decided here.

/** Regions, projects and Foundry resources, wherever they become a part of an address. */
const CLOUD_NAME = /^[a-z0-9-]{1,63}$/;
const ONE = '[a-z0-9-]{1,63}';

type Hosts = readonly RegExp[] | 'any';

/** By kind. A kind that is not here has no hosts; `any`: the kind is a protocol, not a vendor. */
const HOSTS: ReadonlyMap<string, Hosts> = new Map<string, Hosts>([
  ['anthropic', [host('api.anthropic.com')]],
  ['anthropic-compatible', 'any'],
  // Claude Platform on AWS.
  ['aws', [host('aws-external-anthropic.*.api.aws')]],
  ['bedrock', [host('bedrock-runtime.*.amazonaws.com')]],
  // Which speaks the Messages API itself.
  ['bedrock-mantle', [host('bedrock-mantle.*.api.aws')]],
  // A region's host, the global one, and those that keep data in a place (`us`, `eu`).
  [
    'vertex',
    [
      host('*-aiplatform.googleapis.com'),
      host('aiplatform.googleapis.com'),
      host('aiplatform.*.rep.googleapis.com'),
    ],
  ],
  ['foundry', [host('*.services.ai.azure.com')]],
]);

/** `*` stands for one cloud name: a region or a resource. */
function host(form: string): RegExp {
  const escaped = form.replaceAll('.', String.raw`\.`).replaceAll('*', ONE);
  return new RegExp(`^${escaped}$`);
}

/** What decides which hosts an account may call. */
export interface HostChoice {
  readonly kind: string;
  /** An admin has said that another host is meant; absent: no. */
  readonly allowsOtherHost?: boolean;
}

/** Whether `hostname`, as a URL parser gives it, is one of the vendor's own for accounts of `kind`. */
export function isOfficialHost(kind: string, hostname: string): boolean {
  const hosts = HOSTS.get(kind) ?? [];
  return hosts === 'any' || hosts.some((form) => form.test(hostname));
}

/** Whether `hostname` is the vendor's own, of a kind that belongs to one vendor. */
export function isVendorHost(kind: string, hostname: string): boolean {
  return HOSTS.get(kind) !== 'any' && isOfficialHost(kind, hostname);
}

/** Whether an account may call `hostname`: its kind's own host, or any if an admin said so. */
export function mayCallHost({ kind, allowsOtherHost }: HostChoice, hostname: string): boolean {
  return allowsOtherHost === true || isOfficialHost(kind, hostname);
}

/** Whether `text` may stand in an address as region, project or resource. */
export function isCloudName(text: string): boolean {
  return CLOUD_NAME.test(text);
}
