// @ts-check
// A copy of the build that can be broken: the patches of a mutant are applied to it, each exactly once.
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {import('../mutants.js').Mutant} Mutant */
/** @typedef {import('../mutants.js').Patch} Patch */

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** The build that is shipped. */
export const DIST = join(ROOT, 'dist');

/** What no replica loads; `joined` is of tests. */
const NOT_COPIED = /\.map$|\.tsbuildinfo$|[\\/]joined$/;

/** What the build looks for beside itself. */
const BESIDE = ['node_modules', 'package.json', 'prisma'];

/**
 * Copies the build into a temporary directory of its own and patches it there.
 *
 * @param {Mutant} mutant
 * @param {string} dist the folder of the build
 * @returns {Promise<{ dist: string, remove: () => Promise<void> }>}
 */
export async function buildMutant(mutant, dist = DIST) {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-mutant-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const copy = join(directory, 'dist');
    await cp(dist, copy, { recursive: true, filter: (file) => !NOT_COPIED.test(file) });
    for (const name of BESIDE) await symlink(join(ROOT, name), join(directory, name));
    for (const [file, text] of await patch(mutant, dist)) await writeFile(join(copy, file), text);
    return { dist: copy, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/**
 * The files of the build that a mutant changes, as it would have them.
 *
 * @param {Mutant} mutant
 * @param {string} dist
 * @returns {Promise<Map<string, string>>} texts by path below `dist`
 */
export async function patch(mutant, dist = DIST) {
  const texts = new Map();
  for (const { file, find, replace } of mutant.patches) {
    const text = texts.get(file) ?? (await readFile(join(dist, file), 'utf8'));
    const parts = text.split(find);
    if (parts.length !== 2)
      throw new Error(
        `the mutant no longer fits: ${mutant.name}: ${file} has ${parts.length - 1} times, not once:\n${find}`,
      );
    texts.set(file, parts.join(replace));
  }
  return texts;
}
