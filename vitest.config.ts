import { configDefaults, defineConfig } from 'vitest/config';

/** Of all lanes. The set-up is the run's and not a lane's, so that one PostgreSQL serves all lanes. */
export const COMMON = {
  pool: 'forks',
  // Nothing is shown by it: on a machine that does other things too, what takes 20 s can take minutes.
  testTimeout: 240_000,
  hookTimeout: 240_000,
  // A second, by default: other tests can take as much from one that is about to see what it waits for.
  expect: { poll: { timeout: 15_000 } },
} as const;

/** Lanes in this process. Loading the same modules for each file took as long as the tests, and none of ours keeps state. */
const IN_PROCESS = ['unit', 'domain', 'http', 'cli', 'hostile', 'browser'];

/** See packages/lab/chaos/mutants/in-tests.js. */
const { GATEHOUSE_MUTANT } = process.env;
const plugins =
  GATEHOUSE_MUTANT === undefined
    ? []
    : [await (await import('./packages/lab/chaos/mutants/in-tests.js')).mutate(GATEHOUSE_MUTANT)];

function lane<More extends object>(name: string, folder: string, more: More) {
  const include = [`${folder}/**/*.test.ts`];
  return { plugins, test: { ...COMMON, name, include, exclude: configDefaults.exclude, ...more } };
}

export default defineConfig({
  test: {
    globalSetup: ['test/support/cluster.ts'],
    maxWorkers: 2,
    projects: [
      ...IN_PROCESS.map((name) => lane(name, `test/${name}`, { isolate: false })),
      // What starts processes, or weighs its own process, has a process of its own. They mostly wait
      // for others, so that two cores have time for a third.
      lane('system', 'test/system', { isolate: true, maxWorkers: 3, sequence: { groupOrder: 1 } }),
      // Builds, mutants among them, are loaded as Node loads them.
      lane('lab', 'packages/lab/test', { isolate: false, server: { deps: { external: [/\/dist\//] } } }),
    ],
  },
});
