// A PostgreSQL of one test’s own, which it may crash, freeze, stop and start again.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import {
  choosePort,
  describeCluster,
  ensureCluster,
  findPostmaster,
  startPostmaster,
  stopPostmaster,
  type Cluster,
} from '@gatehouse/local-postgres';

export interface OwnCluster {
  /** An empty database, owned by a role that is no superuser. */
  url: string;
  /** Stops without a goodbye, as a power cut would: nothing is finished, connections break. */
  crash: () => Promise<void>;
  /** Starts again on the same port, recovery included. */
  start: () => Promise<void>;
  /** Whether it runs, recovering or ready. */
  isUp: () => Promise<boolean>;
  /** Stops all its processes where they stand, as a stalled machine would: connections stay open, nobody answers. */
  freeze: () => Promise<void>;
  thaw: () => Promise<void>;
  remove: () => Promise<void>;
}

/**
 * @param options.place where its directory goes
 * @param options.settings of PostgreSQL
 */
export async function createOwnCluster({
  place = tmpdir(),
  settings = {},
}: { place?: string; settings?: Record<string, string> } = {}): Promise<OwnCluster> {
  const directory = await mkdtemp(join(place, 'gatehouse-cluster-'));
  const cluster = await describeCluster(join(directory, 'postgres'), settings);
  const password = randomBytes(16).toString('hex');
  await ensureCluster(
    cluster,
    `CREATE ROLE owner LOGIN PASSWORD '${password}';\nCREATE DATABASE gatehouse OWNER owner;\n`,
  );
  const port = await choosePort(cluster);
  const start = async () => {
    let outcome = await startPostmaster(cluster, { port });
    // The last process of a server that crashed may hold the lock for a moment longer.
    while (outcome.is === 'locked') {
      await sleep(20);
      outcome = await startPostmaster(cluster, { port });
    }
    if (outcome.is !== 'ready') throw new Error(`PostgreSQL did not start: ${JSON.stringify(outcome)}`);
  };
  await start();
  return {
    url: `postgresql://owner:${password}@127.0.0.1:${port}/gatehouse`,
    crash: () => crash(cluster),
    start,
    isUp: async () => (await findPostmaster(cluster)) !== undefined,
    freeze: () => freeze(cluster),
    thaw: () => thaw(cluster),
    remove: async () => {
      await stopPostmaster(cluster);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function crash(cluster: Cluster): Promise<void> {
  process.kill(await pidOf(cluster), 'SIGQUIT');
  while ((await findPostmaster(cluster)) !== undefined) await sleep(10);
}

/** The postmaster first: once it stands still, it starts no more of the others, and forgets none that end. */
async function freeze(cluster: Cluster): Promise<void> {
  const postmaster = await pidOf(cluster);
  process.kill(postmaster, 'SIGSTOP');
  for (const pid of await listChildren(postmaster)) process.kill(pid, 'SIGSTOP');
}

async function thaw(cluster: Cluster): Promise<void> {
  const postmaster = await pidOf(cluster);
  for (const pid of await listChildren(postmaster)) process.kill(pid, 'SIGCONT');
  process.kill(postmaster, 'SIGCONT');
}

async function listChildren(parent: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'ppid=,pid=']);
  const lines = stdout.trim().split('\n');
  const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  return pairs.filter(([ppid]) => ppid === parent).map(([, pid]) => pid);
}

async function pidOf(cluster: Cluster): Promise<number> {
  const postmaster = await findPostmaster(cluster);
  if (postmaster === undefined) throw new Error('no PostgreSQL runs');
  return postmaster.pid;
}
