// A PostgreSQL that counts what each statement does, for the scenario that tells what requests cost.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  choosePort,
  describeCluster,
  ensureCluster,
  startPostmaster,
  stopPostmaster,
} from '@gatehouse/local-postgres';
import pg from 'pg';

/** A checkpoint comes only when it is asked for: after one, the first change of each page writes the whole page. */
const SETTINGS = {
  shared_preload_libraries: 'pg_stat_statements',
  checkpoint_timeout: '1h',
  max_wal_size: '16GB',
};

/** @returns {Promise<{url, leave, counters}>}: `url` of an empty database, `counters` of all that was counted so far */
export async function enterCounting() {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-counting-'));
  const cluster = await describeCluster(join(directory, 'postgres'), SETTINGS);
  const password = randomBytes(16).toString('hex');
  await ensureCluster(
    cluster,
    [
      `CREATE ROLE owner LOGIN PASSWORD '${password}';`,
      'CREATE DATABASE gatehouse OWNER owner;',
      'CREATE EXTENSION pg_stat_statements;',
      'GRANT pg_monitor, pg_checkpoint TO owner;',
      '',
    ].join('\n'),
  );
  const port = await choosePort(cluster);
  const outcome = await startPostmaster(cluster, { port });
  if (outcome.is !== 'ready') throw new Error(`PostgreSQL did not start: ${JSON.stringify(outcome)}`);
  const urlOf = (database) => `postgresql://owner:${password}@127.0.0.1:${port}/${database}`;
  // Beside the database of the service, so that nothing of it is counted there.
  const pool = new pg.Pool({ connectionString: urlOf('postgres'), max: 1 });
  pool.on('error', () => undefined);
  return {
    url: urlOf('gatehouse'),
    counters: () => readCounters(pool),
    checkpoint: () => pool.query('CHECKPOINT'),
    leave: async () => {
      await pool.end();
      await stopPostmaster(cluster);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * {statements: Map of id → {text, calls, walImages}, walBytes, flushes}: flushes of the log by connections, each of
 * which is a commit that waited for the disk. Connections tell them when they end, statements at once.
 */
async function readCounters(pool) {
  const { rows: statements } = await pool.query(
    `SELECT queryid::text AS id, query AS text, calls::float8, wal_fpi::float8 AS "walImages"
     FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE datname = 'gatehouse' AND toplevel`,
  );
  const { rows } = await pool.query(
    `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 AS "walBytes",
            (SELECT coalesce(sum(fsyncs), 0) FROM pg_stat_io WHERE object = 'wal' AND backend_type = 'client backend')::float8 AS flushes`,
  );
  return { ...rows[0], statements: new Map(statements.map(({ id, ...counted }) => [id, counted])) };
}
