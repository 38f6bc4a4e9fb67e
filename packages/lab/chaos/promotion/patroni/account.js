// @ts-check
// As whom programs run that refuse to run as root: the account that the lab has for PostgreSQL.
import { chown } from 'node:fs/promises';
import { findLauncher } from '@gatehouse/local-postgres';

/**
 * @typedef {object} Account
 * @property {string[]} prefix words before a command that is to run as this account
 * @property {(path: string) => Promise<void>} own gives a file to it
 */

/**
 * @param {import('../binaries.js').Programs} programs
 * @param {string} directory
 * @returns {Promise<Account>}
 */
export async function findAccount(programs, directory) {
  const { owner, prefix } = await findLauncher(programs, directory);
  if (owner === undefined) return { prefix: [], own: async () => undefined };
  const change = ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', '--'];
  return {
    prefix: prefix.length > 0 ? prefix : change,
    own: (path) => chown(path, owner.uid, owner.gid),
  };
}
