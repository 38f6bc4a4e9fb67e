import { configDefaults, defineConfig } from 'vitest/config';

/** Files for processes of their own: two put something in the place of a module of ours, one weighs the process. */
const ALONE = [
  'test/database/migrate.test.ts',
  'test/domain/passwords-aborted.test.ts',
  'test/hostile/sockets-slow.test.ts',
];

/** Of all tests. Not inherited, for the set-up below is to be done once. */
const COMMON = {
  pool: 'forks',
  // Nothing is shown by it: on a machine that does other things too, what takes 20 s can take minutes.
  testTimeout: 240_000,
  hookTimeout: 240_000,
  // A second, by default: other tests can take as much from one that is about to see what it waits for.
  expect: { poll: { timeout: 15_000 } },
} as const;

export default defineConfig({
  test: {
    globalSetup: ['test/support/cluster.ts'],
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...COMMON,
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...ALONE],
          // Loading the same modules for each file took as long as the tests, and none of ours keeps state.
          isolate: false,
        },
      },
      { test: { ...COMMON, name: 'alone', include: ALONE } },
    ],
  },
});
