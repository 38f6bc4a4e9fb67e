import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/cluster.ts'],
    pool: 'forks',
    // Half of the time went into loading the same modules for each file. None of ours keeps state, and no test mocks one.
    isolate: false,
    maxWorkers: 2,
    testTimeout: 90_000,
    hookTimeout: 90_000,
    // A second, by default: other tests can take as much from one that is about to see what it waits for.
    expect: { poll: { timeout: 15_000 } },
  },
});
