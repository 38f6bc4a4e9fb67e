// A DATA_DIR with the embedded PostgreSQL in it, made once for a run of tests and copied: to make one takes longer than most tests.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';

import { enterEmbedded } from '../../src/database/embedded.js';
import { migrate } from '../../src/database/migrate.js';
import { openDatabase } from '../../src/database/prisma.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { createDemo } from '../../src/process/demo.js';
import { AMPLE_MS } from './house.js';

/**
 * Puts one there that has been started and stopped.
 *
 * @param options.isMigrated with all tables and the demo, and no key; else nothing was ever migrated in it
 */
export async function placeMadeDatabase(dataDir: string, { isMigrated = false } = {}): Promise<void> {
  const made = join(inject('runDirectory'), isMigrated ? 'made-migrated' : 'made');
  if (!existsSync(made)) await makeOnce(made, isMigrated);
  await mkdir(dirname(dataDir), { recursive: true });
  // Node's own copy leaves out whom the files belong to, which PostgreSQL minds.
  await promisify(execFile)('cp', ['-a', made, dataDir]);
}

/** What this process is making: tests that run beside each other in it wait for the same one. */
const making = new Map<string, Promise<void>>();

function makeOnce(path: string, isMigrated: boolean): Promise<void> {
  const made = making.get(path) ?? make(path, isMigrated);
  making.set(path, made);
  return made;
}

async function make(path: string, isMigrated: boolean): Promise<void> {
  const draft = `${path}-${process.pid}`;
  if (isMigrated) await placeMadeDatabase(draft);
  const entered = await enterEmbedded(draft, 'visitor');
  if (isMigrated) await fill(entered.url, draft);
  await entered.leave();
  // Another process of the run may have been faster.
  await rename(draft, path).catch(() => rm(draft, { recursive: true }));
}

/** What the first start of a service writes into its database and beside it, but for keys and secrets. */
export async function fill(url: string, dataDir: string): Promise<void> {
  await migrate(url);
  const database = openDatabase(url, { connections: 1, deadlineMs: AMPLE_MS });
  const hasher = createPasswordHasher();
  await createDemo(database, hasher, dataDir);
  await hasher.close();
  await database.close();
}
