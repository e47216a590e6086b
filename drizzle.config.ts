// How migrations are made from the schema: `npx drizzle-kit generate --name <what-changes>`, then
// STRICT and WITHOUT ROWID by hand. wrangler applies them; drizzle-kit never touches a database.

import { defineConfig } from 'drizzle-kit';

// oxlint-disable-next-line import/no-default-export -- drizzle-kit reads the default export
export default defineConfig({
  dialect: 'sqlite',
  schema: ['./workers/store/schema.ts', './workers/store/schema-control.ts'],
  out: './migrations',
});
