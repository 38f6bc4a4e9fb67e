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

/**
 * Lanes that load the service: one project, because a process of Vitest's serves one project alone, and loading the same modules
 * for each lane or each file took long. None of ours keeps state.
 */
const OF_SERVICE = ['domain', 'http', 'cli', 'hostile'];

/** Its process holds nothing of other files, whose memory it would find again. */
const WEIGHS_ITSELF = 'test/system/sockets-slow.test.ts';

/** See packages/lab/chaos/mutants/in-tests.js. */
const { GATEHOUSE_MUTANT } = process.env;
const plugins =
  GATEHOUSE_MUTANT === undefined
    ? []
    : [await (await import('./packages/lab/chaos/mutants/in-tests.js')).mutate(GATEHOUSE_MUTANT)];

function project<More extends object>(name: string, folders: string[], more: More) {
  const include = folders.map((folder) => `${folder}/**/*.test.ts`);
  return { plugins, test: { ...COMMON, name, include, exclude: configDefaults.exclude, ...more } };
}

export default defineConfig({
  test: {
    globalSetup: ['test/support/cluster.ts'],
    // Each waits for PostgreSQL or for time now and then, so that two cores have time for a third; those of `test:rest` for processes and
    // browsers, and there is a fourth.
    maxWorkers: 3,
    projects: [
      project('unit', ['test/unit'], { isolate: false }),
      project(
        'service',
        OF_SERVICE.map((lane) => `test/${lane}`),
        { isolate: false },
      ),
      project('browser', ['test/browser'], { isolate: false }),
      project('system', ['test/system'], {
        isolate: false,
        exclude: [...configDefaults.exclude, WEIGHS_ITSELF],
      }),
      project('system-alone', [], { isolate: true, include: [WEIGHS_ITSELF] }),
      // Builds, mutants among them, are loaded as Node loads them.
      project('lab', ['packages/lab/test'], { isolate: false, server: { deps: { external: [/\/dist\//] } } }),
    ],
  },
});
