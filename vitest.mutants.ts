// The tests that have to notice a mutant: the lanes in this process. Packages are taken from their sources: `dist` holds no mutant.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { COMMON } from './vitest.config.js';

const LANES = 'test/{unit,domain,http,cli,hostile}/**/*.test.ts';

function inPackages(path: string): string {
  return fileURLToPath(new URL(`packages/${path}`, import.meta.url));
}

export default defineConfig({
  resolve: {
    alias: {
      '@gatehouse/backend': inPackages('backend/src/backend.ts'),
      '@gatehouse/browser': inPackages('browser/src/gatehouse.ts'),
      '@gatehouse/protocol': inPackages('protocol/src/index.ts'),
      // Before the name of its package, which would be found in it.
      '@gatehouse/resource-server/fastify': inPackages('resource-server/src/fastify.ts'),
      '@gatehouse/resource-server/watch': inPackages('resource-server/src/watch.ts'),
      '@gatehouse/resource-server': inPackages('resource-server/src/introspector.ts'),
    },
  },
  test: {
    ...COMMON,
    globalSetup: ['test/support/cluster.ts'],
    isolate: false,
    include: process.env['MUTANTS_TESTS']?.split('\n') ?? [LANES],
    // They read the sources as text, and here a source holds all of its mutants.
    exclude: ['test/unit/house/**'],
  },
});
