// The capnp text for raw `workerd serve`. Only what a run needs; no general writer of configs.

const COMPATIBILITY = `compatibilityDate = "2026-10-20", compatibilityFlags = ["enable_request_signal"]`;

const text = (value) => JSON.stringify(value);

/** A service with the one module `file` of the config's folder. */
export function simpleConfig(file, upstreamPort) {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), ${internet}],
  sockets = [${socket}],
);
const main :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed ${text(file)})],
  ${COMPATIBILITY},
  bindings = [(name = "UPSTREAM", text = "http://127.0.0.1:${upstreamPort}")],
);
`;
}

/** As above, with one object class whose storage is the folder `storage`. */
export function floorConfig(file, upstreamPort, storage) {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "disk", disk = (path = ${text(storage)}, writable = true)),
    ${internet},
  ],
  sockets = [${socket}],
);
const main :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed ${text(file)})],
  ${COMPATIBILITY},
  bindings = [
    (name = "UPSTREAM", text = "http://127.0.0.1:${upstreamPort}"),
    ${binding('LEDGER', 'durableObjectNamespace = (className = "FloorObject")')},
  ],
  durableObjectNamespaces = [
    (className = "FloorObject", uniqueKey = "floor", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "disk"),
);
`;
}

const internet = `(name = "internet", network = (allow = ["public", "private"]))`;
const socket = `(name = "http", address = "127.0.0.1:0", http = (), service = "main")`;

/**
 * The relay's bundle as `wrangler deploy` would upload it, with its objects on disk (`storage`, a
 * folder beside the config) and a D1 database in a service beside it. `vars`: text bindings.
 */
export function relayConfig({ entry, modules, vars, storage }) {
  const texts = Object.entries(vars).map(([name, value]) => binding(name, `text = ${text(value)}`));
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "platform", worker = .platform),
    (name = "disk", disk = (path = ${text(storage)}, writable = true)),
    ${internet},
  ],
  sockets = [
    ${socket},
    (name = "platform", address = "127.0.0.1:0", http = (), service = "platform"),
  ],
  extensions = [
    (modules = [(name = "bench:rate-limit", esModule = embed "rate-limit.mjs", internal = true)]),
  ],
);
const main :Workerd.Worker = (
  modules = [
    ${[entry, ...modules.filter((file) => file !== entry)].map(moduleOf).join(',\n    ')},
  ],
  ${COMPATIBILITY},
  bindings = [
    ${texts.join(',\n    ')},
    ${binding('LEDGER', 'durableObjectNamespace = (className = "LedgerObject")')},
    ${binding('POOL', 'durableObjectNamespace = (className = "PoolObject")')},
    ${binding('THROTTLE', 'durableObjectNamespace = (className = "ThrottleObject")')},
    ${binding('LIVE', 'durableObjectNamespace = (className = "LiveObject")')},
    ${binding('EGRESS', 'durableObjectNamespace = (className = "EgressObject")')},
    ${binding('DB', `wrapped = (moduleName = "cloudflare-internal:d1-api", innerBindings = [(name = "fetcher", service = "platform")])`)},
    ${binding('ADDRESS_GUARD', `wrapped = (moduleName = "bench:rate-limit")`)},
  ],
  durableObjectNamespaces = [
    (className = "LedgerObject", uniqueKey = "ledger", enableSql = true),
    (className = "PoolObject", uniqueKey = "pool", enableSql = true),
    (className = "ThrottleObject", uniqueKey = "throttle", enableSql = true),
    (className = "LiveObject", uniqueKey = "live", enableSql = true),
    (className = "EgressObject", uniqueKey = "egress", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "disk"),
);
const platform :Workerd.Worker = (
  modules = [(name = "platform.mjs", esModule = embed "platform.mjs")],
  ${COMPATIBILITY},
  bindings = [
    ${binding('DATABASE', 'durableObjectNamespace = (className = "DatabaseObject")')},
    ${binding('LEDGER', 'durableObjectNamespace = (className = "LedgerObject", serviceName = "main")')},
    ${binding('POOL', 'durableObjectNamespace = (className = "PoolObject", serviceName = "main")')},
  ],
  durableObjectNamespaces = [
    (className = "DatabaseObject", uniqueKey = "database", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "disk"),
);
`;
}

const binding = (name, value) => `(name = ${text(name)}, ${value})`;

const MODULE_KINDS = { '.wasm': 'wasm', '.html': 'text' };

function moduleOf(file) {
  const kind = MODULE_KINDS[file.slice(file.lastIndexOf('.'))] ?? 'esModule';
  return `(name = ${text(file)}, ${kind} = embed ${text(file)})`;
}
