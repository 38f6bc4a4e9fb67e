/** Which migrations a database has had, and whether this build can live with them. */
import type pg from 'pg';

import { isUnchanged, type Migration } from './migration-files.js';
import { StartError } from './start-error.js';

export interface MigrationRow {
  name: string;
  checksum: string;
  isFinished: boolean;
  /** What PostgreSQL said when the migration failed: written by Prisma and by older builds. */
  logs: string | null;
}

/** What was applied to this database, and what was begun and never rolled back; refused when this build does not fit it. */
export async function readHistory(client: pg.Client, migrations: Migration[]): Promise<MigrationRow[]> {
  const { rows: tables } = await client.query<{ exists: boolean }>(
    `SELECT to_regclass('public._prisma_migrations') IS NOT NULL AS exists`,
  );
  if (tables[0]?.exists !== true) return [];
  const { rows } = await client.query<MigrationRow>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS "isFinished", logs
     FROM public._prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  );
  if (rows.some(({ isFinished }) => isFinished)) await refuseStrayed(client);
  for (const row of rows) refuseEdited(row, migrations);
  const unknown = rows.filter(({ name }) => !migrations.some((migration) => migration.name === name));
  if (unknown.length > 0) await refuseUnlivable(client, unknown, migrations);
  return rows;
}

/**
 * Builds of before put the tables into the schema that came first in the search path of role and database, and their history
 * into public: they started once and never again.
 */
async function refuseStrayed(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ isThere: boolean }>(
    `SELECT to_regclass('public.service') IS NOT NULL AS "isThere"`,
  );
  if (rows[0]?.isThere !== false) return;
  throw new StartError(
    'The tables of Gatehouse are missing in the schema public, where their history is: an older Gatehouse put them into another schema. Move each one, as in ALTER TABLE other.users SET SCHEMA public, and the type: ALTER TYPE other.revocation_kind SET SCHEMA public.',
  );
}

/**
 * A newer build migrated this database. One that only added to it names the newest migration that an older build must
 * know (CONTRIBUTING.md): such a build runs on, and a rollback needs no change of the database.
 */
async function refuseUnlivable(
  client: pg.Client,
  unknown: MigrationRow[],
  migrations: Migration[],
): Promise<void> {
  const isDone = unknown.every(({ isFinished }) => isFinished);
  const mustKnow = isDone ? await readMustKnow(client) : null;
  if (migrations.some(({ name }) => name === mustKnow)) return;
  throw new StartError(
    `This database was migrated by a newer Gatehouse (${unknown.map(({ name }) => name).join(', ')} is unknown here, and this version cannot live with it). Run that version or a later one.`,
  );
}

/** Null where the database does not say: then only the build that migrated it knows. */
async function readMustKnow(client: pg.Client): Promise<string | null> {
  // By name, as a member of the row: older databases lack the column.
  const { rows } = await client.query<{ mustKnow: string | null }>(
    `SELECT to_jsonb(service) ->> 'must_know' AS "mustKnow" FROM public.service`,
  );
  return rows[0]?.mustKnow ?? null;
}

export function findPending(rows: MigrationRow[], migrations: Migration[]): Migration[] {
  const finished = new Set(rows.filter((row) => row.isFinished).map((row) => row.name));
  return migrations.filter(({ name }) => !finished.has(name));
}

function refuseEdited({ name, checksum, isFinished }: MigrationRow, migrations: Migration[]): void {
  const known = migrations.find((migration) => migration.name === name);
  if (known === undefined || !isFinished || isUnchanged(known, checksum)) return;
  // The tables are not those that this build's file describes, and nothing says what they lack.
  throw new StartError(
    `Migration ${name} was edited after it was applied to this database. Restore prisma/migrations/${name}/migration.sql as it was, and write the change as a new migration.`,
  );
}

/**
 * Older builds and Prisma's own tools leave a row when a migration fails. Asked only under the lock: before, an
 * unfinished migration may be such a replica at work.
 */
export function refuseFailed(rows: MigrationRow[]): void {
  const failed = rows.find((row) => !row.isFinished);
  if (failed === undefined) return;
  const reason = /ERROR: .+/.exec(failed.logs ?? '')?.[0] ?? 'it was interrupted';
  throw new StartError(
    `Migration ${failed.name} failed (${reason}). Remove the cause, run UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL, and start again.`,
  );
}
