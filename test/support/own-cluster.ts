// A PostgreSQL of one test’s own, which it may crash, freeze, stop and start again.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
import pg from 'pg';
import { inject } from 'vitest';

export interface OwnCluster {
  /** An empty database, owned by a role that is no superuser. */
  url: string;
  /** Stops without a goodbye, as a power cut would: nothing is finished, connections break. */
  crash: () => Promise<void>;
  /** Starts again on the same port, recovery included. */
  start: () => Promise<void>;
  /** Gives one of PostgreSQL's settings another value while it runs, and waits until connections have it. */
  set: (name: string, value: string) => Promise<void>;
  /** Whether it runs, recovering or ready. */
  isUp: () => Promise<boolean>;
  /** Stops all its processes where they stand, as a stalled machine would: connections stay open, nobody answers. */
  freeze: () => Promise<void>;
  thaw: () => Promise<void>;
  /** A copy of it as it is now, promoted as a standby would be; it goes on beside it, after a moment's rest. */
  promoteCopy: () => Promise<OwnCluster>;
  remove: () => Promise<void>;
}

/**
 * A copy of one that is made once for a run of tests: to make one takes longer than most tests. All have one password.
 *
 * @param options.place where its directory goes
 * @param options.settings of PostgreSQL
 * @param options.isForeign another cluster, which PostgreSQL's system identifier tells from all copies
 */
export async function createOwnCluster({
  place = tmpdir(),
  settings = {},
  isForeign = false,
}: { place?: string; settings?: Record<string, string>; isForeign?: boolean } = {}): Promise<OwnCluster> {
  const made = await findMade();
  const password = await readFile(join(made, 'password'), 'utf8');
  const directory = await mkdtemp(join(place, 'gatehouse-cluster-'));
  const cluster = await describeCluster(join(directory, 'postgres'), settings);
  if (isForeign) await make(cluster, password);
  else await copy(join(made, 'postgres'), cluster.directory);
  return await run(cluster, directory, password);
}

async function findMade(): Promise<string> {
  const made = join(inject('runDirectory'), 'own-cluster');
  if (existsSync(made)) return made;
  const draft = await mkdtemp(`${made}-`);
  const password = randomBytes(16).toString('hex');
  await writeFile(join(draft, 'password'), password);
  await make(await describeCluster(join(draft, 'postgres')), password);
  // Another process of the run may have been faster.
  await rename(draft, made).catch(() => rm(draft, { recursive: true }));
  return made;
}

async function make(cluster: Cluster, password: string): Promise<void> {
  const setup = `CREATE ROLE owner LOGIN PASSWORD '${password}';\nCREATE DATABASE gatehouse OWNER owner;\n`;
  await ensureCluster(cluster, setup);
}

/** Owners included: PostgreSQL does not run as root. */
async function copy(from: string, to: string): Promise<void> {
  await promisify(execFile)('cp', ['-a', from, to]);
}

/** @param directory goes with the cluster that is in it */
async function run(cluster: Cluster, directory: string, password: string): Promise<OwnCluster> {
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
  const url = `postgresql://owner:${password}@127.0.0.1:${port}/gatehouse`;
  return {
    url,
    set: async (name, value) => {
      await appendFile(join(cluster.directory, 'postgresql.auto.conf'), `${name} = '${value}'\n`);
      process.kill(await pidOf(cluster), 'SIGHUP');
      await waitUntilSet(url, name, value);
    },
    crash: () => crash(cluster),
    start,
    isUp: async () => (await findPostmaster(cluster)) !== undefined,
    freeze: () => freeze(cluster),
    thaw: () => thaw(cluster),
    promoteCopy: async () => {
      await stopPostmaster(cluster);
      const place = await mkdtemp(join(dirname(directory), 'gatehouse-cluster-'));
      const copy = await copyForPromotion(cluster, join(place, 'postgres'));
      await start();
      const promoted = await run(copy, place, password);
      await waitUntilPromoted(promoted.url);
      return promoted;
    },
    remove: async () => {
      await stopPostmaster(cluster);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Once it has recovered to the end of what it has, for want of an archive, PostgreSQL begins a new timeline. */
async function copyForPromotion({ directory, settings }: Cluster, to: string): Promise<Cluster> {
  await copy(directory, to);
  await writeFile(join(to, 'recovery.signal'), '');
  return await describeCluster(to, { ...settings, restore_command: 'false' });
}

async function waitUntilPromoted(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (;;) {
      const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
      if (rows[0]?.standby === false) return;
      await sleep(20);
    }
  } finally {
    await client.end();
  }
}

async function waitUntilSet(url: string, name: string, value: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (;;) {
      const { rows } = await client.query<{ value: string }>('SELECT current_setting($1) AS value', [name]);
      if (rows[0]?.value === value) return;
      await sleep(20);
    }
  } finally {
    await client.end();
  }
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
