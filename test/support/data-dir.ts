// A DATA_DIR for each test, and the way in and out of the embedded PostgreSQL under it.
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EmbeddedDatabase, Role } from '@gatehouse/local-postgres';
import pg from 'pg';
import { afterEach, beforeEach } from 'vitest';

import { enterEmbedded } from '../../src/database/embedded.js';

export interface DataDir {
  /** An empty directory without symbolic links in its path; deleted after the test. */
  parent: string;
  /** Below `parent`, and not made yet. A test may choose another place there. */
  path: string;
  /** The one who enters leaves after the test at the latest. */
  enter: (role: Role, signal?: AbortSignal) => Promise<EmbeddedDatabase>;
}

/** @param place the folders below `parent` */
export function useDataDir(...place: string[]): DataDir {
  const inside: EmbeddedDatabase[] = [];
  const dataDir: DataDir = {
    parent: '',
    path: '',
    enter: async (role, signal) => {
      const database = await enterEmbedded(dataDir.path, role, signal);
      inside.push(database);
      return database;
    },
  };
  beforeEach(async () => {
    dataDir.parent = await realpath(await mkdtemp(join(tmpdir(), 'gatehouse-data-')));
    dataDir.path = join(dataDir.parent, ...place);
  });
  afterEach(async () => {
    for (const database of inside.splice(0)) await database.leave();
    await rm(dataDir.parent, { recursive: true, force: true });
  });
  return dataDir;
}

/** The values of all columns of all rows. */
export async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return rows.flatMap((row) => Object.values(row));
  } finally {
    await client.end();
  }
}
