/** Which database cluster the service belongs to: stored at the first start, and asked by each new connection. */
import type { Database } from '../../database/prisma.js';

/** Stores the cluster of a database that belongs to none yet, where the server tells it. */
export async function claimCluster(database: Database): Promise<void> {
  if (!database.isFenced()) return;
  // Settles nothing: all who start at once on one cluster store the same.
  await database.query({})`
    UPDATE service SET system_identifier = (SELECT system_identifier::text FROM pg_control_system())
    WHERE system_identifier IS NULL`;
}

/**
 * Declares the cluster that the database is in now to be the right one.
 *
 * @returns the identifiers before, null for none, and now
 */
export async function acceptCluster(
  database: Database,
): Promise<{ before: string | null; identifier: string }[]> {
  // Before and after come from one statement: of two that accept at once, each says what it found.
  return await database.query({ before: 'text?', identifier: 'text' })`
    WITH told AS MATERIALIZED (
      SELECT system_identifier::text AS identifier FROM pg_control_system()
    ), found AS MATERIALIZED (
      SELECT system_identifier AS before FROM service
    )
    UPDATE service SET system_identifier = told.identifier FROM told, found
    RETURNING found.before, told.identifier`;
}
