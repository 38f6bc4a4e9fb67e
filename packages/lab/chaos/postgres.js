// @ts-check
// The one PostgreSQL of a run, which keeps its promises on disk and is killed all the same.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import {
  choosePort,
  describeCluster,
  ensureCluster,
  findPostmaster,
  startPostmaster,
  stopPostmaster,
} from '@gatehouse/local-postgres';
import pg from 'pg';

import { signalFamily, tell } from './processes.js';

/** Three replicas hold 42 connections; those given up at their deadlines stay for up to ten seconds beside the new ones. */
const MAX_CONNECTIONS = 200;

const POLL_MS = 10;
const STARTS_WITHIN_MS = 30_000;
/** Much longer than it takes, unless the machine is busy with something else. */
const ADMIN_DEADLINE_MS = 30_000;

/** @typedef {Awaited<ReturnType<typeof openPostgres>>} Postgres */

/**
 * Makes a cluster with an empty database of a role that is no superuser, and starts it.
 *
 * @param {string} directory
 */
export async function openPostgres(directory) {
  // Everything about durability is as PostgreSQL has it by default: that is what is put to the test.
  const settings = { max_connections: String(MAX_CONNECTIONS) };
  const cluster = await describeCluster(join(directory, 'postgres'), settings);
  const password = randomBytes(16).toString('hex');
  await ensureCluster(
    cluster,
    [
      `CREATE ROLE admin SUPERUSER LOGIN PASSWORD '${password}';`,
      `CREATE ROLE owner LOGIN PASSWORD '${password}';`,
      'CREATE DATABASE gatehouse OWNER owner;',
      '',
    ].join('\n'),
  );
  const port = await choosePort(cluster);
  /** @param {string} role */
  const urlFor = (role) => `postgresql://${role}:${password}@127.0.0.1:${port}/gatehouse`;
  const admin = createAdmin(urlFor('admin'));

  async function findPid() {
    const postmaster = await findPostmaster(cluster);
    if (postmaster === undefined || postmaster.pid === 0) throw new Error('PostgreSQL does not run');
    return postmaster.pid;
  }

  async function untilGone() {
    while ((await findPostmaster(cluster)) !== undefined) await sleep(POLL_MS);
  }

  /** @returns {Promise<number>} milliseconds until it took connections, recovery included */
  async function start() {
    const startedAt = performance.now();
    for (;;) {
      const outcome = await startPostmaster(cluster, { port });
      if (outcome.is === 'ready') return performance.now() - startedAt;
      // The last of its processes that was killed may hold the lock, or the port, for a moment longer.
      if (performance.now() - startedAt > STARTS_WITHIN_MS)
        throw new Error(`PostgreSQL did not start: ${JSON.stringify(outcome)}`);
      await sleep(POLL_MS);
    }
  }

  await start();
  return {
    url: urlFor('owner'),
    adminUrl: urlFor('admin'),
    port,
    start,
    /** What a power cut leaves of its processes and its memory: nothing. What was not written to disk is gone. */
    kill: async () => {
      await signalFamily(await findPid(), 'SIGKILL');
      await untilGone();
    },
    /** It breaks all connections and leaves without a checkpoint. */
    stopImmediately: async () => {
      tell(await findPid(), 'SIGQUIT');
      await untilGone();
    },
    /** Connections stay open, and nobody answers. */
    freeze: async () => signalFamily(await findPid(), 'SIGSTOP'),
    thaw: async () => signalFamily(await findPid(), 'SIGCONT'),
    /**
     * Ends all connections of the service, in the middle of what they do.
     *
     * @returns {Promise<number>} how many
     */
    terminateBackends: async () => {
      const { rows } = await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'gatehouse%'`,
      );
      return rows.length;
    },
    /**
     * As a superuser, not through a proxy.
     *
     * @param {string} text
     * @param {unknown[]=} values
     */
    query: (text, values) => admin.query(text, values),
    close: async () => {
      await admin.end();
      await stopPostmaster(cluster);
    },
  };
}

/** @param {string} url */
function createAdmin(url) {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'chaos',
    max: 2,
    connectionTimeoutMillis: ADMIN_DEADLINE_MS,
    query_timeout: ADMIN_DEADLINE_MS,
  });
  // Its connections break with PostgreSQL; the next query opens another.
  pool.on('error', () => undefined);
  return pool;
}

/**
 * A module of the service's build, which may be a mutant's.
 *
 * @param {string} dist
 * @param {string} path
 * @returns {Promise<any>}
 */
export function importFrom(dist, path) {
  return import(pathToFileURL(join(dist, path)).href);
}
