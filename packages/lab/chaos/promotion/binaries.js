// @ts-check
// Finds a PostgreSQL of the system's own: the embedded one brings no pg_basebackup and no pg_rewind.
import { access, constants, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Where Debian and its kin put each major version. */
const DEBIAN = '/usr/lib/postgresql';

const OLDEST_MAJOR = 15;

const PROGRAMS = /** @type {const} */ (['initdb', 'postgres', 'pg_basebackup', 'pg_rewind']);

/** @typedef {Record<typeof PROGRAMS[number], string>} Programs absolute paths */

/**
 * @param {string=} directory where to look; by default the newest of Debian's that is new enough
 * @returns {Promise<Programs | null>} null where one of the programs is missing
 */
export async function findPrograms(directory) {
  for (const candidate of directory === undefined ? await listDirectories() : [directory]) {
    const programs = PROGRAMS.map((name) => /** @type {const} */ ([name, join(candidate, name)]));
    const runnable = await Promise.all(programs.map(([, path]) => isRunnable(path)));
    if (runnable.every(Boolean)) return /** @type {Programs} */ (Object.fromEntries(programs));
  }
  return null;
}

/** Newest first. */
async function listDirectories() {
  const names = await readdir(DEBIAN).catch(() => /** @type {string[]} */ ([]));
  return names
    .map(Number)
    .filter((major) => major >= OLDEST_MAJOR)
    .sort((one, other) => other - one)
    .map((major) => join(DEBIAN, String(major), 'bin'));
}

/**
 * @param {string} path
 * @returns {Promise<boolean>}
 */
export function isRunnable(path) {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
