/** Brings a database to the shape that this build expects, also while other replicas try the same. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

import { describeDatabase } from './database-url.js';
import { explainDatabaseError, openFirstConnection } from './first-connection.js';
import { checksumOf, readMigrations, type Migration } from './migration-files.js';
import { findPending, readHistory, refuseFailed, type MigrationRow } from './migration-history.js';
import { StartError } from './start-error.js';
import { STALLED, watchStalls } from './stalled-commits.js';
import { FOREIGN, isForeign } from './verify-connection.js';

/** Any number that nothing else in the database locks on. */
const MIGRATION_LOCK = 7_041_776_101;
const LOCK_DEADLINE_MS = 60_000;

/** How often another connection is asked, while one waits, whether commits wait for a standby. */
const LOOK_EVERY_MS = 5000;

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
 * @throws {StartError} when the database cannot be reached, is not fit, belongs to a newer Gatehouse or to another cluster
 */
export async function migrate(url: string, known?: Migration[]): Promise<string[]> {
  const migrations = known ?? (await readMigrations());
  return await withHistory(url, migrations, async (client, rows) => {
    if (findPending(rows, migrations).length === 0) return [];
    await lock(client, url);
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
    // Before anything else: what belongs to another cluster is left as it is, until it is accepted.
    if (await isForeign(client)) throw new StartError(FOREIGN);
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
  await refuseWithoutPrivilege(client, url);
  await refuseOtherTables(client, url);
  for (const migration of pending) await apply(client, url, migration);
  return pending.map(({ name }) => name);
}

/**
 * Applies one migration and writes its row in one transaction: the database has both afterwards, or neither.
 *
 * @throws {StartError} with the migration's name and PostgreSQL's reason
 */
async function apply(client: pg.Client, url: string, migration: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(CREATE_HISTORY);
    await client.query(migration.sql);
    await client.query(
      `INSERT INTO public._prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, clock_timestamp(), 1)`,
      [randomUUID(), checksumOf(migration), migration.name],
    );
    await attend(client.query('COMMIT'), url);
  } catch (error) {
    // Nothing comes back on this connection: to end it takes the transaction back, unless its commit waits for a standby.
    if (!(error instanceof pg.DatabaseError)) throw error;
    await client.query('ROLLBACK').catch(() => undefined);
    throw new StartError(
      `Migration ${migration.name} failed and changed nothing (${error.message.split('\n', 1).join()}). Remove the cause and start again.`,
      { cause: error },
    );
  }
}

/**
 * Waits for a commit, or for the lock of a replica that waits for its own.
 *
 * @throws {StartError} when it waits for a standby that does not confirm it: nobody is told of it in another way
 */
async function attend(work: Promise<unknown>, url: string): Promise<void> {
  const stalls = watchStalls(url);
  const isDone = work.then(() => true);
  isDone.catch(() => undefined);
  try {
    while (!(await Promise.race([isDone, sleep(LOOK_EVERY_MS, false, { ref: false })])))
      if (await stalls.look()) throw new StartError(`The database cannot be migrated: ${STALLED}.`);
  } finally {
    await stalls.close();
  }
}

/** The lock is the session's: it goes with the connection, however this process ends. */
async function lock(client: pg.Client, url: string): Promise<void> {
  await client.query(`SET lock_timeout = ${LOCK_DEADLINE_MS}`);
  try {
    await attend(client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]), url);
    // Not RESET, which would be the default of the database or role.
    await client.query('SET lock_timeout = 0');
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

async function refuseWithoutPrivilege(client: pg.Client, url: string): Promise<void> {
  const { rows } = await client.query<{ allowed: boolean; role: string }>(
    `SELECT has_schema_privilege('public', 'CREATE') AS allowed, format('%I', current_user) AS role`,
  );
  if (rows[0]?.allowed !== false) return;
  throw new StartError(
    `${describeDatabase(url)} does not let this user create tables in its schema public. Run this as the owner of that schema: GRANT USAGE, CREATE ON SCHEMA public TO ${rows[0].role}. Or run "gatehouse migrate" as that owner.`,
  );
}
