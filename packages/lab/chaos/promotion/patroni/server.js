// @ts-check
// One PostgreSQL under Patroni: started, killed, frozen, thawed, and asked who it is.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findPostmaster } from '@gatehouse/local-postgres';
import pg from 'pg';

import { signalFamily } from '../../processes.js';
import { configurePatroni } from './configuration.js';
import { startDaemon } from './daemon.js';

const ASK_MS = 5000;
const SWITCHOVER_MS = 90_000;

/** @typedef {Awaited<ReturnType<typeof createServer>>} Server */

/**
 * @param {object} options
 * @param {import('./programs.js').Programs} options.programs
 * @param {import('./network.js').Site} options.site
 * @param {string} options.etcd
 * @param {import('./account.js').Account} options.account
 * @param {string} options.directory of the whole drill
 * @param {string} options.password
 */
export async function createServer({ programs, site, etcd, account, directory, password }) {
  const { name, users, members, port, restPort, prefix } = site;
  const home = join(directory, `server-${name}`);
  await mkdir(home, { mode: 0o700 });
  const file = join(home, 'patroni.json');
  const binaries = dirname(programs.postgres.postgres);
  const configuration = configurePatroni({ place: site, etcd, directory: home, binaries, password });
  await writeFile(file, JSON.stringify(configuration, null, 2), { mode: 0o600 });
  for (const path of [home, file]) await account.own(path);
  const data = configuration.postgresql.data_dir;
  const command = [...prefix, ...account.prefix, programs.patroni, file];
  /** @type {import('./daemon.js').Daemon | null} */
  let patroni = null;

  async function findPostmasterPid() {
    const postmaster = await findPostmaster({ directory: data });
    return postmaster === undefined || postmaster.pid === 0 ? null : postmaster.pid;
  }

  /** @param {NodeJS.Signals} signal */
  async function signalPostgres(signal) {
    const pid = await findPostmasterPid();
    if (pid !== null) await signalFamily(pid, signal);
  }

  /** @param {NodeJS.Signals} signal */
  async function signalPatroni(signal) {
    if (patroni !== null && !patroni.isOver()) await signalFamily(patroni.pid, signal);
  }

  /**
   * @param {string} text
   * @param {{ database?: string, host?: string, withinMs?: number }} options
   */
  async function query(text, { database = 'postgres', host = members, withinMs = ASK_MS } = {}) {
    const client = new pg.Client({
      connectionString: `postgresql://admin:${password}@${host}:${port}/${database}`,
      application_name: 'drill',
      connectionTimeoutMillis: withinMs,
      query_timeout: withinMs,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query(text)).rows;
    } finally {
      void client.end().catch(() => undefined);
    }
  }

  return {
    name,
    query,
    start: async () => {
      patroni = await startDaemon({
        name: `Patroni ${name}`,
        command,
        log: join(directory, `patroni-${name}.log`),
        listens: { host: users, port: restPort },
      });
    },
    /** As a machine that loses its power. */
    kill: async () => {
      await signalPatroni('SIGKILL');
      await patroni?.kill();
      await signalPostgres('SIGKILL');
    },
    /** As a program that the kernel kills for want of memory: PostgreSQL runs on, and nobody looks after it. */
    killPatroni: async () => {
      await patroni?.kill();
    },
    /** As a virtual machine that stands still. */
    freeze: async () => {
      await signalPatroni('SIGSTOP');
      await signalPostgres('SIGSTOP');
    },
    thawPostgres: () => signalPostgres('SIGCONT'),
    thawPatroni: async () => {
      await signalPatroni('SIGCONT');
    },
    /** Whether PostgreSQL says that it is a primary; null when it does not say. */
    isPrimary: async () => {
      try {
        const [row] = await query('SELECT pg_is_in_recovery() AS is', { host: users, withinMs: 1000 });
        return row?.is === false;
      } catch {
        return null;
      }
    },
    /** Of a primary: it counts promotions. */
    timeline: async () => {
      const [row] = await query('SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) AS is');
      return parseInt(String(row?.is), 16);
    },
    /** Gives the lead to whom Patroni chooses, as an operator does. */
    switchOver: async () => {
      const answer = await fetch(`http://${users}:${restPort}/switchover`, {
        method: 'POST',
        body: JSON.stringify({ leader: name }),
        signal: AbortSignal.timeout(SWITCHOVER_MS),
      });
      const said = await answer.text();
      if (answer.status !== 200) throw new Error(`Patroni answered a switchover ${answer.status}: ${said}`);
    },
    /** Of Patroni. @returns {Promise<string>} */
    version: async () => {
      const signal = AbortSignal.timeout(ASK_MS);
      const answer = await fetch(`http://${users}:${restPort}/patroni`, { signal });
      return String(/** @type {any} */ (await answer.json()).patroni.version);
    },
  };
}
