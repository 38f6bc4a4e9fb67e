// @ts-check
// One PostgreSQL of several that follow each other: made, copied, rewound, killed and promoted.
import { appendFile, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  findLauncher,
  findPostmaster,
  runProgram,
  startPostmaster,
  stopPostmaster,
} from '@gatehouse/local-postgres';
import pg from 'pg';

import { signalFamily } from '../processes.js';

const POLL_MS = 10;
const STARTS_WITHIN_MS = 30_000;
/** Much longer than it takes, unless the machine is busy with something else. */
const ADMIN_DEADLINE_MS = 60_000;

/** @typedef {Awaited<ReturnType<typeof createNode>>} Node */
/** @typedef {{ connection: string, query: (text: string) => Promise<unknown> }} Source whom to follow */

/**
 * @param {object} options
 * @param {import('./binaries.js').Programs} options.programs
 * @param {string} options.name by which a primary knows its standbys
 * @param {string} options.directory of the cluster
 * @param {number} options.port
 * @param {string} options.password of every role
 * @param {string} options.passwordFile the same for PostgreSQL's own programs
 * @param {Record<string, string>} options.settings of all that follow each other
 */
export async function createNode({ programs, name, directory, port, password, passwordFile, settings }) {
  const launcher = await findLauncher(programs, directory);
  const cluster = { directory, binaries: programs, launcher, settings: { cluster_name: name } };
  const connection = `host=127.0.0.1 port=${port} user=admin dbname=postgres passfile=${passwordFile}`;

  async function makeDirectory() {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { mode: 0o700 });
    if (launcher.owner !== undefined) await chown(directory, launcher.owner.uid, launcher.owner.gid);
  }

  async function findPid() {
    const postmaster = await findPostmaster(cluster);
    return postmaster === undefined || postmaster.pid === 0 ? null : postmaster.pid;
  }

  /**
   * @param {string} text
   * @param {unknown[]=} values
   */
  async function query(text, values) {
    const client = new pg.Client({
      connectionString: `postgresql://admin:${password}@127.0.0.1:${port}/postgres`,
      application_name: 'drill',
      connectionTimeoutMillis: ADMIN_DEADLINE_MS,
      query_timeout: ADMIN_DEADLINE_MS,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query(text, values)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  return {
    name,
    port,
    connection,
    query,
    /** @param {string} setup one SQL statement per line */
    initialise: async (setup) => {
      await makeDirectory();
      await runProgram(launcher, programs.initdb, [
        `--pgdata=${directory}`,
        '--username=postgres',
        '--auth=reject',
        '--encoding=UTF8',
        '--locale=C',
        // pg_rewind wants them.
        '--data-checksums',
        '--no-instructions',
      ]);
      // `watcher` may do nothing but ask which of the servers is the primary; HAProxy knows no passwords.
      await writeFile(
        `${directory}/pg_hba.conf`,
        [
          'host postgres watcher 127.0.0.1/32 trust',
          'host all all 127.0.0.1/32 scram-sha-256',
          'host replication all 127.0.0.1/32 scram-sha-256',
          '',
        ].join('\n'),
      );
      // In the file rather than on the command line: pg_rewind starts a server of its own, which must keep the same log.
      await appendFile(
        `${directory}/postgresql.conf`,
        Object.entries(settings)
          .map(([setting, value]) => `${setting} = '${value}'\n`)
          .join(''),
      );
      const alone = ['-c', 'exit_on_error=on', '-c', 'synchronous_standby_names='];
      const single = ['--single', '-D', directory, ...alone, 'postgres'];
      await runProgram(launcher, programs.postgres, single, setup);
    },
    /** Makes a standby from nothing. @param {Source} primary */
    copyFrom: async (primary) => {
      await makeDirectory();
      await runProgram(launcher, programs.pg_basebackup, [
        `--pgdata=${directory}`,
        `--dbname=${primary.connection}`,
        '--write-recovery-conf',
        '--checkpoint=fast',
      ]);
    },
    /** Makes a standby of what was a primary, and drops what it had written alone. @param {Source} primary */
    rewindTo: async (primary) => {
      // pg_rewind looks for the new timeline in the control file, where the next checkpoint writes it.
      await primary.query('CHECKPOINT');
      await runProgram(launcher, programs.pg_rewind, [
        `--target-pgdata=${directory}`,
        `--source-server=${primary.connection}`,
        '--write-recovery-conf',
      ]);
    },
    start: async () => {
      const startedAt = performance.now();
      for (;;) {
        const outcome = await startPostmaster(cluster, { port });
        if (outcome.is === 'ready') return;
        // The last of its processes that was killed may hold the lock, or the port, for a moment longer.
        if (performance.now() - startedAt > STARTS_WITHIN_MS)
          throw new Error(`PostgreSQL ${name} did not start: ${JSON.stringify(outcome)}`);
        await sleep(POLL_MS);
      }
    },
    /** As a machine that loses its power: all of its processes at one go. */
    kill: async () => {
      const pid = await findPid();
      if (pid === null) throw new Error(`PostgreSQL ${name} does not run`);
      await signalFamily(pid, 'SIGKILL');
      while ((await findPid()) !== null) await sleep(POLL_MS);
    },
    promote: async () => {
      const [row] = await query('SELECT pg_promote(true, 60) AS done');
      if (row?.done !== true) throw new Error(`PostgreSQL ${name} was not promoted`);
    },
    /** How often it has let the service in, standby or not, since it was made. */
    countConnections: async () => {
      const log = await readFile(`${directory}.log`, 'latin1');
      return log.split('connection authorized: user=owner').length - 1;
    },
    stop: () => stopPostmaster(cluster),
  };
}
