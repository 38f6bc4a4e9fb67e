// @ts-check
// Where mutants are hunted: one PostgreSQL, in which each hunt has a database of its own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openMigrated } from '../cluster.js';
import { DIST } from './build.js';

/** @typedef {Awaited<ReturnType<typeof openDatabases>>} Databases */

/** Opens it, with a migrated database that each hunt gets a copy of. */
export async function openDatabases() {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-hunts-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  const postgres = await openMigrated({ dist: DIST, directory }).catch(async (error) => {
    await remove();
    throw error;
  });
  let count = 0;
  /** One after the other: nobody else may be connected to what is being copied. @type {Promise<unknown>} */
  let copied = Promise.resolve();

  /** @param {string} name */
  async function copy(name) {
    await postgres.query(`CREATE DATABASE ${name} TEMPLATE gatehouse OWNER owner`);
  }

  return {
    /** The same PostgreSQL with another empty database: for hunts that leave PostgreSQL itself alone. */
    takeDatabase: async () => {
      count += 1;
      const name = `hunt_${count}`;
      const own = copied.then(() => copy(name));
      copied = own.catch(() => undefined);
      await own;
      const named = (/** @type {string} */ url) => Object.assign(new URL(url), { pathname: name }).href;
      return { ...postgres, url: named(postgres.url), adminUrl: named(postgres.adminUrl) };
    },
    close: async () => {
      await postgres.close();
      await remove();
    },
  };
}
