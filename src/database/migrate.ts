/** Brings a database to the shape that this build expects, also while other replicas try the same. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';

import { describeDatabase } from './database-url.js';
import { explainDatabaseError, openFirstConnection } from './first-connection.js';
import { checksumOf, readMigrations, type Migration } from './migration-files.js';
import { findPending, readHistory, refuseFailed, type MigrationRow } from './migration-history.js';
import { StartError } from './start-error.js';

/** Any number that nothing else in the database locks on. */
const MIGRATION_LOCK = 7_041_776_101;
const LOCK_DEADLINE_MS = 60_000;

/** As Prisma's own tools create it: they read this history too. */
const CREATE_HISTORY = `
  CREATE TABLE IF NOT EXISTS public._prisma_migrations (
    id                  VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64) NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`;

/**
 * Applies the pending migrations and returns their names, oldest first.
 * Any number of replicas may call it at once: one applies, the others wait and find nothing to do.
 *
 * @param known all migrations, oldest first; those of this build unless others are given
 * @throws {StartError} when the database cannot be reached, is not fit, or belongs to a newer Gatehouse
 */
export async function migrate(url: string, known?: Migration[]): Promise<string[]> {
  const migrations = known ?? (await readMigrations());
  return await withHistory(url, migrations, async (client, rows) => {
    if (findPending(rows, migrations).length === 0) return [];
    await lock(client);
    // Read again: the replica that held the lock before has most likely done the work.
    return await migrateAlone(client, url, await readHistory(client, migrations), migrations);
  });
}

/** The migrations that `migrate` would apply, oldest first. Changes nothing; throws StartError as `migrate` does. */
export async function listPending(url: string, known?: Migration[]): Promise<string[]> {
  const migrations = known ?? (await readMigrations());
  return await withHistory(url, migrations, (_, rows) =>
    Promise.resolve(findPending(rows, migrations).map(({ name }) => name)),
  );
}

async function withHistory<T>(
  url: string,
  migrations: Migration[],
  use: (client: pg.Client, rows: MigrationRow[]) => Promise<T>,
): Promise<T> {
  const client = await openFirstConnection(url);
  try {
    return await use(client, await readHistory(client, migrations));
  } catch (error) {
    throw explainDatabaseError(error, url);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function migrateAlone(
  client: pg.Client,
  url: string,
  rows: MigrationRow[],
  migrations: Migration[],
): Promise<string[]> {
  refuseFailed(rows);
  const pending = findPending(rows, migrations);
  if (pending.length === 0) return [];
  await refuseWithoutPrivilege(client);
  await refuseOtherTables(client, url);
  for (const migration of pending) await apply(client, migration);
  return pending.map(({ name }) => name);
}

/**
 * Applies one migration and writes its row in one transaction: the database has both afterwards, or neither.
 *
 * @throws {StartError} with the migration's name and PostgreSQL's reason
 */
async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(CREATE_HISTORY);
    await client.query(migration.sql);
    await client.query(
      `INSERT INTO public._prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, clock_timestamp(), 1)`,
      [randomUUID(), checksumOf(migration), migration.name],
    );
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    if (!(error instanceof pg.DatabaseError)) throw error;
    throw new StartError(
      `Migration ${migration.name} failed and changed nothing (${error.message.split('\n', 1).join()}). Remove the cause and start again.`,
      { cause: error },
    );
  }
}

/** The lock is the session's: it goes with the connection, however this process ends. */
async function lock(client: pg.Client): Promise<void> {
  await client.query(`SET lock_timeout = ${LOCK_DEADLINE_MS}`);
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query('RESET lock_timeout');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === '55P03')) throw error;
    throw new StartError(
      'Another Gatehouse has been migrating this database for more than a minute. Wait for it, or end it, and start again.',
      { cause: error },
    );
  }
}

/** A database with tables and without a history is not ours; what extensions keep there does not count. */
async function refuseOtherTables(client: pg.Client, url: string): Promise<void> {
  const { rows } = await client.query<{ found: boolean }>(
    `SELECT to_regclass('public._prisma_migrations') IS NULL AND EXISTS (
       SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
         AND NOT EXISTS (SELECT FROM pg_depend
                         WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
     ) AS found`,
  );
  if (rows[0]?.found !== true) return;
  throw new StartError(
    `${describeDatabase(url)} holds tables of something else. Create a database for Gatehouse alone.`,
  );
}

async function refuseWithoutPrivilege(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ allowed: boolean }>(
    `SELECT has_schema_privilege('public', 'CREATE') AS allowed`,
  );
  if (rows[0]?.allowed === true) return;
  throw Object.assign(new Error('no CREATE privilege on schema public'), { code: '42501' });
}
