import { availableParallelism } from 'node:os';
import { env } from 'node:process';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-pool-workers';
import { defineConfig } from 'vitest/config';

// `node`: rules, wire formats, scripts.
// `workers`: shells inside workerd, with real objects and a real database.
// `journeys`: black box, through a relay started as its users start it; after all others.
export default defineConfig(async () => ({
  test: {
    // The default leaves one processor idle, which of two is half of the time.
    maxWorkers: availableParallelism(),
    projects: [
      {
        test: {
          name: 'node',
          environment: 'node',
          include: ['workers/**/*.test.ts', 'scripts/**/*.test.mjs', 'tests/**/*.test.ts'],
          exclude: ['**/*.workerd.test.ts', 'tests/journeys/**', '**/node_modules/**'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              bindings: {
                TEST_MIGRATIONS: await readD1Migrations('./migrations'),
                RELAY_ENVIRONMENT: 'development',
                KEY_TAG_SECRETS: '{"1":"test-key-tag-secret-of-one"}',
                MASTER_KEYS: '{"1":"test-master-key-number-one"}',
                // For tests/simulation/ledger-object.workerd.test.ts.
                TEST_SEEDS: {
                  one: env['OBJECT_SEED'] ?? null,
                  count: Number(env['OBJECT_SEEDS'] ?? '30'),
                },
                CONVERSATION_SECRET: 'test-conversation-secret',
                SETUP_SECRET: 'test-setup-secret-of-length',
                SESSION_SECRETS: '{"1":"test-session-secret-of-one"}',
                METRICS_TOKEN: 'test-metrics-token-of-length',
                ENVIRONMENT_ACCOUNTS: JSON.stringify([
                  {
                    name: 'test',
                    kind: 'anthropic-compatible',
                    baseUrl: 'http://127.0.0.1:9',
                    apiKey: 'sk-test-upstream',
                  },
                ]),
              },
            },
          }),
        ],
        test: {
          name: 'workers',
          include: ['workers/**/*.workerd.test.ts', 'tests/simulation/*.workerd.test.ts'],
          globalSetup: ['./tests/support/far-side.ts'],
          setupFiles: ['./tests/support/apply-migrations.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'journeys',
          environment: 'node',
          include: ['tests/journeys/*.test.ts'],
          globalSetup: ['./tests/support/start-relay.ts'],
          // One relay for all files, whose upstream each file in turn stands in for.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
}));
