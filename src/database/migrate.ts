// Brings a database to the shape that this build expects, also while other replicas try the same.
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { explainDatabaseError, openFirstConnection } from './first-connection.js';
import { StartError } from './start-error.js';

// Both src/database and dist/database are two levels below the package.
const migrationsDirectory = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));
/** Any number that nothing else in the database locks on. The engine's own lock is another one. */
const MIGRATION_LOCK = 7_041_776_101;
const LOCK_DEADLINE_MS = 60_000;

interface MigrationRow {
  name: string;
  isFinished: boolean;
  /** Where PostgreSQL wrote what went wrong. */
  logs: string | null;
}

/**
 * Applies the pending migrations and returns their names, oldest first.
 * Any number of replicas may call it at once: one applies, the others wait and find nothing to do.
 * Throws StartError when the database cannot be reached, is not fit, or belongs to a newer Gatehouse.
 */
export function migrate(url: string): Promise<string[]> {
  const work = bringUpToDate(url).finally(() => underWay.delete(work));
  underWay.add(work);
  return work;
}

const underWay = new Set<Promise<unknown>>();

/** Waits for what `migrate` does in this process: a migration that is cut off has to be taken back by hand. */
export async function untilMigrated(): Promise<void> {
  await Promise.allSettled(underWay);
}

async function bringUpToDate(url: string): Promise<string[]> {
  const client = await openFirstConnection(url);
  try {
    const names = await listMigrations();
    const rows = await readHistory(client);
    refuseNewer(rows, names);
    if (findPending(rows, names).length === 0) return [];
    return await migrateAlone(client, url, names);
  } catch (error) {
    throw explainDatabaseError(error, url);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The migrations that `migrate` would apply, oldest first. Changes nothing; throws StartError as `migrate` does. */
export async function listPending(url: string): Promise<string[]> {
  const client = await openFirstConnection(url);
  try {
    const names = await listMigrations();
    const rows = await readHistory(client);
    refuseNewer(rows, names);
    return findPending(rows, names);
  } catch (error) {
    throw explainDatabaseError(error, url);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function migrateAlone(client: pg.Client, url: string, names: string[]): Promise<string[]> {
  await lock(client);
  // Read again: whoever held the lock before us has most likely done the work.
  const rows = await readHistory(client);
  refuseNewer(rows, names);
  refuseFailed(rows);
  if (findPending(rows, names).length === 0) return [];
  await refuseWithoutPrivilege(client);
  // Loaded only here: a start with nothing to apply does not pay for the engine.
  const { applyMigrations, readMigrations } = await import('./schema-engine.js');
  try {
    return await applyMigrations(url, await readMigrations());
  } catch (error) {
    refuseFailed(await readHistory(client), error);
    throw error;
  }
}

/** The lock is the session's: it goes with the connection, however this process ends. */
async function lock(client: pg.Client): Promise<void> {
  await client.query(`SET lock_timeout = ${LOCK_DEADLINE_MS}`);
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === '55P03')) throw error;
    throw new StartError(
      'Another Gatehouse has been migrating this database for more than a minute. Wait for it, or end it, and start again.',
      { cause: error },
    );
  }
}

/** The migrations that this build brings, oldest first. */
async function listMigrations(): Promise<string[]> {
  const entries = await readdir(migrationsDirectory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

async function readHistory(client: pg.Client): Promise<MigrationRow[]> {
  const { rows: tables } = await client.query<{ exists: boolean }>(
    `SELECT to_regclass('public._prisma_migrations') IS NOT NULL AS exists`,
  );
  if (tables[0]?.exists !== true) return [];
  const { rows } = await client.query<MigrationRow>(
    `SELECT migration_name AS name, finished_at IS NOT NULL AS "isFinished", logs
     FROM public._prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  );
  return rows;
}

function findPending(rows: MigrationRow[], names: string[]): string[] {
  const finished = new Set(rows.filter((row) => row.isFinished).map((row) => row.name));
  return names.filter((name) => !finished.has(name));
}

function refuseNewer(rows: MigrationRow[], names: string[]): void {
  const unknown = rows.find((row) => !names.includes(row.name));
  if (unknown === undefined) return;
  throw new StartError(
    `This database was migrated by a newer Gatehouse (${unknown.name} is unknown here). Run that version or a later one.`,
  );
}

/** Asked only under the lock: before, an unfinished migration may be another replica at work. */
function refuseFailed(rows: MigrationRow[], cause?: unknown): void {
  const failed = rows.find((row) => !row.isFinished);
  if (failed === undefined) return;
  const reason = /ERROR: .+/.exec(failed.logs ?? '')?.[0] ?? 'it was interrupted';
  throw new StartError(
    `Migration ${failed.name} failed (${reason}). Remove the cause, run UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL, and start again.`,
    { cause },
  );
}

async function refuseWithoutPrivilege(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ allowed: boolean }>(
    `SELECT has_schema_privilege('public', 'CREATE') AS allowed`,
  );
  if (rows[0]?.allowed === true) return;
  throw Object.assign(new Error('no CREATE privilege on schema public'), { code: '42501' });
}
