// One real PostgreSQL for the whole test run, with a migrated template that every test database is copied from.
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
  type Cluster,
} from '@gatehouse/local-postgres';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/database/migrate.js';
import { joinService } from './joined.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The database `postgres` as a superuser. */
    adminUrl: string;
    /** Goes when the run is over. */
    runDirectory: string;
  }
}

export const TEMPLATE = 'gatehouse_template';

/** Nothing for the lane that asks no database: it runs where no server may. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (project.vitest.projects.every(({ name }) => name === 'unit')) return undefined;
  await joinService();
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-test-'));
  // What a power cut would do to this cluster does not matter.
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: '300' };
  const cluster = await describeCluster(join(directory, 'postgres'), settings);
  const stop = async () => {
    await stopPostmaster(cluster);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const adminUrl = await startCluster(cluster);
    await createTemplate(adminUrl);
    project.provide('adminUrl', adminUrl);
    project.provide('runDirectory', directory);
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startCluster(cluster: Cluster): Promise<string> {
  const password = randomBytes(16).toString('hex');
  await ensureCluster(cluster, `CREATE ROLE admin SUPERUSER LOGIN PASSWORD '${password}';\n`);
  const port = await choosePort(cluster);
  const outcome = await startPostmaster(cluster, { port });
  if (outcome.is !== 'ready')
    throw new Error(`The test PostgreSQL did not start: ${JSON.stringify(outcome)}`);
  return `postgresql://admin:${password}@127.0.0.1:${port}/postgres`;
}

/**
 * The service's tables, and a clock of the tests in the place of PostgreSQL's own. It may be moved by days, which is no outage:
 * the last beat is never stale, and no replica writes another one. Names are looked up in `pg_catalog` first, as in production,
 * so the clock takes its name there. It needs a number of its own too: what has a number of PostgreSQL's is called without a
 * look at the catalog.
 */
async function createTemplate(adminUrl: string): Promise<void> {
  const url = new URL(adminUrl);
  await query(adminUrl, `CREATE DATABASE ${TEMPLATE}`);
  url.pathname = TEMPLATE;
  await migrate(url.href);
  await query(
    url.href,
    `CREATE SCHEMA test_clock;
     CREATE TABLE test_clock.state (frozen_at timestamptz, shift interval NOT NULL DEFAULT '0');
     INSERT INTO test_clock.state DEFAULT VALUES;
     UPDATE beat SET beaten_at = 'infinity';
     CREATE FUNCTION test_clock.keep_beat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER clock_is_moved BEFORE UPDATE ON beat FOR EACH ROW EXECUTE FUNCTION test_clock.keep_beat();
     ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO built_in_clock_timestamp;
     CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
       'SELECT coalesce(frozen_at, pg_catalog.built_in_clock_timestamp() + shift) FROM test_clock.state'`,
  );
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
