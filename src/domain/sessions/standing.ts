/** *This session stands*: the one predicate that every statement about a session's tokens asks. */
import type { Database } from '../../database/prisma.js';
import { sql, type Fragment } from '../../database/sql.js';

/**
 * Whether an epoch is the one in force for the user in `users` (docs/decisions/0008-epochs.md). The difference of two epochs
 * fits their type whatever they are, which the sum of two would not. One row with an epoch near the most that there is
 * would fail a statement for everybody who shares it.
 */
function inForce(epoch: Fragment, comparison: Fragment): Fragment {
  return sql`${epoch} - service.epoch ${comparison} users.epoch`;
}

/** The epoch that sessions of the user in `users` are opened under now, as text, since only SQL reads it. */
export const EPOCH_IN_FORCE = sql`(users.epoch + service.epoch)::text`;

/** The epoch in `proved.epoch`, which was read with the password's hash, is still in force. */
export const PROVED_EPOCH_IS_IN_FORCE = inForce(sql`proved.epoch`, sql`=`);

/** Whether the user in `users` may log in and keep sessions. */
export const USER_IS_ENABLED = sql`users.disabled_at IS NULL`;

/**
 * Reads `sessions`, `users` and `service`, which the statement that splices it in must have in its FROM.
 *
 * @param comparison of the session's epoch with the epoch in force
 * @param unrevoked ids of which none may be revoked
 */
function standing(comparison: Fragment, unrevoked: Fragment): Fragment {
  return sql`(
    users.id = sessions.user_id AND ${USER_IS_ENABLED}
    AND sessions.ended_at IS NULL AND ${inForce(sql`sessions.epoch`, comparison)}
    AND NOT EXISTS (SELECT FROM revocations WHERE revocations.id IN (${unrevoked}))
  )`;
}

/** The session in `sessions` stands. Whether it has expired is another question, which its tokens answer by their `exp`. */
export const STANDS = standing(sql`=`, sql`sessions.id`);

/** The same, and the lineage in `asked.lineage` is not revoked. */
export const STANDS_WITH_LINEAGE = standing(sql`=`, sql`sessions.id, asked.lineage`);

/**
 * The same for an UPDATE of `sessions` that may have waited for the row. While it waited, logout-all may have stamped the
 * session that it keeps with an epoch later than the one in the statement's snapshot. No session is ever stamped
 * with an epoch that is not in force, so a later one stands.
 */
export const STANDS_OR_WAS_KEPT = standing(sql`>=`, sql`sessions.id`);

/** Whether the session of a live access token still stands, when a statement has changed nothing and must say why. */
export async function isStanding(
  database: Database,
  { sub, sid, lineage }: { sub: string; sid: string; lineage: string },
): Promise<boolean> {
  const rows = await database.query({ id: 'uuid' })`
    SELECT sessions.id
    FROM (SELECT ${lineage}::uuid AS lineage) AS asked, sessions, users, service
    WHERE sessions.id = ${sid}::uuid AND users.id = ${sub}::uuid AND sessions.expires_at > clock_timestamp()
      AND ${STANDS_WITH_LINEAGE}`;
  return rows.length > 0;
}
