// A DATA_DIR with the embedded PostgreSQL in it, made once for a run of tests and copied: to make one takes longer than most tests.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';

import { enterEmbedded } from '../../src/database/embedded.js';

/** Puts one there that has been started and stopped, and in which nothing was ever migrated. */
export async function placeMadeDatabase(dataDir: string): Promise<void> {
  const made = join(inject('runDirectory'), 'made');
  if (!existsSync(made)) await make(made);
  await mkdir(dirname(dataDir), { recursive: true });
  // Node's own copy leaves out whom the files belong to, which PostgreSQL minds.
  await promisify(execFile)('cp', ['-a', made, dataDir]);
}

async function make(path: string): Promise<void> {
  const draft = `${path}-${process.pid}`;
  await (await enterEmbedded(draft, 'visitor')).leave();
  // Another process of the run may have been faster.
  await rename(draft, path).catch(() => rm(draft, { recursive: true }));
}
