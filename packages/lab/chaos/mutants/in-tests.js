// @ts-check
// The mutants before the tests instead of the checker: says which of them `npm test` catches, and by which test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { MUTANTS, UNHUNTED } from '../mutants.js';
import { patch } from './build.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** What `npm test` runs; those that are likely to see something first. */
const PROJECTS = ['service', 'unit'];

/**
 * A plugin for Vite: in the place of each source that a mutant changes comes what the mutant makes of its build.
 *
 * @param {string} name of the mutant
 */
export async function mutate(name) {
  const mutant = [...MUTANTS, ...UNHUNTED].find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant ${name}`);
  const texts = await patch(mutant);
  return {
    name: 'gatehouse:mutate',
    enforce: /** @type {const} */ ('pre'),
    /** @param {string} id */
    load: (id) => {
      const file = relative(join(ROOT, 'src'), id).replace(/\.ts$/, '.js');
      return texts.get(file)?.replace(/\n\/\/# sourceMappingURL=.*/, '');
    },
  };
}

/**
 * @param {string} name
 * @param {string[]} files as Vitest is told them; all unless some are given
 * @returns {Promise<string[]>} the tests that fail; Vitest stops after the first of them
 */
async function findCatches(name, files) {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-mutated-'));
  const outputFile = join(directory, 'results.json');
  try {
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const projects = PROJECTS.flatMap((project) => ['--project', project]);
    const options = ['--bail=1', '--reporter=json', `--outputFile=${outputFile}`];
    const child = spawn(process.execPath, [vitest, 'run', ...projects, ...options, ...files], {
      cwd: ROOT,
      env: { ...process.env, GATEHOUSE_MUTANT: name },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await once(child, 'close');
    const { testResults } = JSON.parse(await readFile(outputFile, 'utf8'));
    return testResults.flatMap(
      (/** @type {{ name: string, message: string, status: string, assertionResults: any[] }} */ file) => {
        const failed = file.assertionResults.filter(({ status }) => status === 'failed');
        const names = failed.map(({ fullName }) => fullName);
        if (file.status === 'failed' && names.length === 0) names.push(file.message);
        return names.map((test) => `${relative(ROOT, file.name)} > ${test}`);
      },
    );
  } finally {
    await rm(directory, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [wanted = '', ...files] = process.argv.slice(2);
  const names = wanted === '' ? [...MUTANTS, ...UNHUNTED].map(({ name }) => name) : wanted.split(',');
  for (const name of names) {
    const catches = await findCatches(name, files);
    process.stdout.write(`${name}: ${catches.length === 0 ? 'NOT CAUGHT' : catches.join('\n  ')}\n`);
    if (catches.length === 0) process.exitCode = 1;
  }
}
