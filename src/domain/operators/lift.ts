/** Takes an operator's end back: the row stays, and ends nothing any more. */
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { AuthError } from '../errors.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import { firstRow } from '../service/service-row.js';
import { IS_LIFTABLE, IS_UNREVOKED_WITHOUT_LIFTED, STANDS_WITHOUT_LIFTED } from '../sessions/standing.js';

const REVOCATION_LIFTED = eventOf({
  from: sql`lifted JOIN before USING (id), clock`,
  where: sql`before.lifted_at IS NULL`,
  userId: sql`lifted.user_id`,
  sessionId: sql`CASE WHEN lifted.kind = 'session' THEN lifted.target END`,
  detail: sql`jsonb_build_object('revocation_id', lifted.id, 'ending_id', lifted.ending_id)`,
});

/**
 * Lifts one row. A row that was lifted before stays as it is.
 *
 * @param by the actor, as it stands in rows
 * @returns whether what the row had ended is alive now: a session that stands and has not expired, or access tokens that no other row
 * has ended
 * @throws {AuthError} not_found; not_liftable for an end that is final
 */
export async function liftRevocation(
  database: Database,
  id: string,
  by: string,
  note: string | null,
  trail?: Trail,
): Promise<{ isRestored: boolean }> {
  // Settles a lift against every end of the same target: each other end has a row of its own, or has ended the session itself, and
  // this touches one row. An end that commits while this runs ends what was restored, as if it came afterwards. A second lift waits
  // for the row, finds it lifted, and writes as well, so that its own waits for all that must confirm the first.
  const rows = await database.query({ isKnown: 'bool', isLifted: 'bool', isRestored: 'bool' })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), before AS MATERIALIZED (
      SELECT id, lifted_at FROM revocations WHERE id = ${id}::uuid AND ${IS_LIFTABLE} FOR UPDATE
    ), lifted AS (
      UPDATE revocations SET
        lifted_at = coalesce(before.lifted_at, now),
        lifted_by = CASE WHEN before.lifted_at IS NULL THEN ${by} ELSE lifted_by END,
        lift_note = CASE WHEN before.lifted_at IS NULL THEN ${note}::text ELSE lift_note END
      FROM clock, before
      WHERE revocations.id = before.id
      RETURNING revocations.id, revocations.kind, revocations.target, revocations.user_id, revocations.ending_id
    )${recorded(database, REVOCATION_LIFTED, { type: 'revocation.lifted', actor: by, note }, trail)}
    SELECT (SELECT true FROM revocations WHERE id = ${id}::uuid) IS TRUE AS "isKnown", EXISTS (SELECT FROM lifted) AS "isLifted",
           EXISTS (
             SELECT FROM lifted, sessions, users, clock
             WHERE lifted.kind = 'session' AND sessions.id = lifted.target AND sessions.expires_at > now AND ${STANDS_WITHOUT_LIFTED}
           ) OR EXISTS (
             SELECT FROM lifted WHERE lifted.kind = 'token' AND ${IS_UNREVOKED_WITHOUT_LIFTED}
           ) AS "isRestored"
    FROM service`;
  const { isKnown, isLifted, isRestored } = firstRow(rows);
  if (!isKnown) throw new AuthError('not_found', { detail: 'There is no such revocation.' });
  if (!isLifted) throw new AuthError('not_liftable');
  return { isRestored };
}
