import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/cluster.ts'],
    pool: 'forks',
    // Loading the same modules for each file took as long as the tests. None of ours keeps state; the one mock is seen to work.
    isolate: false,
    maxWorkers: 2,
    testTimeout: 90_000,
    hookTimeout: 90_000,
    // A second, by default: other tests can take as much from one that is about to see what it waits for.
    expect: { poll: { timeout: 15_000 } },
  },
});
