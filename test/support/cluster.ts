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

/** The service's tables, and a clock that createTestDatabase puts in front of PostgreSQL's own. */
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
     CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
       'SELECT coalesce(frozen_at, pg_catalog.clock_timestamp() + shift) FROM test_clock.state'`,
  );
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}
