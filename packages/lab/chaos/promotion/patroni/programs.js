// @ts-check
// Finds what a cluster under Patroni is made of, and names what is missing by its package.
import { delimiter, join } from 'node:path';

import { findPrograms, isRunnable } from '../binaries.js';

/** Debian keeps daemons where only root looks. */
const PATH = `${process.env['PATH'] ?? ''}${delimiter}/usr/local/sbin${delimiter}/usr/sbin`;

/** Each program, and the package of Debian and Ubuntu that has it. */
const PACKAGES = /** @type {const} */ ({
  patroni: 'patroni',
  etcd: 'etcd-server',
  haproxy: 'haproxy',
  pgbouncer: 'pgbouncer',
});

/**
 * @typedef {object} Programs absolute paths
 * @property {string} patroni
 * @property {string} etcd
 * @property {string} haproxy
 * @property {string} pgbouncer
 * @property {import('../binaries.js').Programs} postgres
 */

/**
 * @param {{ pgBin?: string | undefined, patroni?: string | undefined, path?: string }} options `patroni`: the program itself, where it is to be another than
 *   the system's
 * @returns {Promise<{ programs: Programs, missing: string[] }>} `programs` is whole where nothing is missing
 */
export async function findPatroniPrograms({ pgBin, patroni, path = PATH }) {
  const missing = [];
  /** @type {Record<string, string>} */
  const found = {};
  for (const [name, packageName] of Object.entries(PACKAGES)) {
    const program = name === 'patroni' && patroni !== undefined ? patroni : await findOnPath(name, path);
    if (program !== null && (await isRunnable(program))) found[name] = program;
    else missing.push(`${name === 'patroni' ? (patroni ?? name) : name} (Debian: ${packageName})`);
  }
  const postgres = await findPrograms(pgBin);
  if (postgres === null)
    missing.push(`PostgreSQL 15 or newer in ${pgBin ?? '/usr/lib/postgresql'} (Debian: postgresql)`);
  return { programs: /** @type {Programs} */ ({ ...found, postgres }), missing };
}

/**
 * @param {string} name
 * @param {string} path
 */
async function findOnPath(name, path) {
  for (const directory of path.split(delimiter)) {
    const candidate = join(directory, name);
    if (directory !== '' && (await isRunnable(candidate))) return candidate;
  }
  return null;
}
