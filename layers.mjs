// Who may import whom: the one table. The layer gate (.dependency-cruiser.mjs) is generated from
// it; docs/ARCHITECTURE.md shows it to people. Paths are those below workers/.

/** Each folder and the folders, or single files, that it may import besides itself. */
export const LAYERS = {
  domain: [],
  protocols: ['domain'],
  platform: ['domain'],
  observe: ['domain', 'platform'],
  objects: ['domain', 'platform', 'observe', 'store'],
  store: ['domain', 'platform'],
  upstreams: ['domain', 'protocols', 'platform'],
  notify: ['domain', 'platform', 'store'],
  relay: ['domain', 'protocols', 'platform', 'observe', 'upstreams', 'store/late-settles.ts'],
  control: ['domain', 'platform', 'observe', 'store', 'notify', 'upstreams'],
  jobs: ['domain', 'platform', 'observe', 'store', 'notify', 'upstreams'],
};

/** Folders that see no package at all, not even a type of one. */
export const PURE = ['domain', 'protocols'];

/** Only the door may name the objects' classes; all others reach an object through its stub. */
export const DOOR = 'index.ts';

/** The door and the map, which may import every folder. */
export const ROOTS = [DOOR, 'app.ts'];

/** Packages that belong to one folder. */
export const OWNED_PACKAGES = { 'drizzle-orm': 'store' };

/** Fewer modules than this means that the gate read nothing, not that nothing is wrong. */
export const MODULES_MIN = 60;
