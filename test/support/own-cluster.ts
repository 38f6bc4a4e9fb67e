// A PostgreSQL of one test’s own, which it may crash, stop and start again.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { findBinaries } from '../../src/database/postgres-binaries.js';
import { ensureCluster, type Cluster } from '../../src/database/postgres-cluster.js';
import { findLauncher } from '../../src/database/postgres-launcher.js';
import {
  choosePort,
  findPostmaster,
  startPostmaster,
  stopPostmaster,
} from '../../src/database/postgres-server.js';

export interface OwnCluster {
  /** An empty database, owned by a role that is no superuser. */
  url: string;
  /** Stops without a goodbye, as a power cut would: nothing is finished, connections break. */
  crash: () => Promise<void>;
  /** Starts again on the same port, recovery included. */
  start: () => Promise<void>;
  remove: () => Promise<void>;
}

export async function createOwnCluster(): Promise<OwnCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-cluster-'));
  const path = join(directory, 'postgres');
  const binaries = await findBinaries();
  const cluster: Cluster = {
    directory: path,
    binaries,
    launcher: await findLauncher(binaries, path),
    settings: {},
  };
  const password = randomBytes(16).toString('hex');
  await ensureCluster(
    cluster,
    `CREATE ROLE owner LOGIN PASSWORD '${password}';\nCREATE DATABASE gatehouse OWNER owner;\n`,
  );
  const port = await choosePort(cluster);
  const start = async () => {
    let outcome = await startPostmaster(cluster, port);
    // The last process of a server that crashed may hold the lock for a moment longer.
    while (outcome.is === 'locked') {
      await sleep(20);
      outcome = await startPostmaster(cluster, port);
    }
    if (outcome.is !== 'ready') throw new Error(`PostgreSQL did not start: ${JSON.stringify(outcome)}`);
  };
  await start();
  return {
    url: `postgresql://owner:${password}@127.0.0.1:${port}/gatehouse`,
    crash: () => crash(cluster),
    start,
    remove: async () => {
      await stopPostmaster(cluster);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function crash(cluster: Cluster): Promise<void> {
  const postmaster = await findPostmaster(cluster);
  if (postmaster === undefined) throw new Error('no PostgreSQL to crash');
  process.kill(postmaster.pid, 'SIGQUIT');
  while ((await findPostmaster(cluster)) !== undefined) await sleep(10);
}
