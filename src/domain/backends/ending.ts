/** A backend ends all sessions of one of its own users. */
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import type { Client } from '../clients.js';
import { eventOf, recorded } from '../events/recorded.js';
import { told, type Trail } from '../reports/told.js';
import { actorOfClient } from '../sessions/actors.js';
import { COUNT_TOLD, ONE_TOO_MANY, toEnded, type Ended } from '../sessions/endings.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import { LATEST_OF_USER, STANDS } from '../sessions/standing.js';
import { subjectId } from '../tokens/subjects.js';

const SESSIONS_ENDED = eventOf({
  from: sql`raised, counted, clock`,
  userId: sql`raised.id`,
  clientId: sql`raised.client_id`,
  detail: COUNT_TOLD,
});

/**
 * Ends all sessions of a user of the client.
 *
 * @returns how many ended, at most a thousand; none of a user whom the client has not brought
 */
export async function endAllOfClient(
  database: Database,
  client: Client,
  externalId: string,
  trail?: Trail,
): Promise<Ended> {
  const actor = actorOfClient(client);
  const facts = { type: 'session.ended', actor, reason: 'logout_all' } as const;
  // Settles openings and refreshes in flight, which meet the raised epoch: an opening writes the user's row, too.
  const [row] = await database.query({ ended: 'int4', userId: 'uuid' })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), raised AS (
      UPDATE users SET epoch = users.epoch + 1
      WHERE users.id = ${subjectId(client.id, externalId)}::uuid AND users.client_id = ${client.id}
      RETURNING users.id, users.client_id, users.epoch
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', raised.id, raised.epoch - 1, 'logout_all', ${actor}, now, ${KEPT_UNTIL_ALL_ENDED}
      FROM raised, clock
    ), counted AS MATERIALIZED (
      SELECT count(*)::int4 AS sessions
      FROM raised, users, service, clock, LATERAL (
        SELECT FROM ${LATEST_OF_USER} AS sessions
        WHERE sessions.expires_at > now AND ${STANDS}
        LIMIT ${ONE_TOO_MANY}::int4
      ) AS doomed
      WHERE users.id = raised.id
    )${recorded(database, SESSIONS_ENDED, facts, trail)}
    SELECT counted.sessions AS ended, raised.id AS "userId" FROM raised, counted`;
  if (row === undefined) return toEnded(0);
  if (trail !== undefined) trail.user = row.userId;
  told.end.tell({ ended: 'user', reason: 'logout_all', actor }, trail);
  return toEnded(row.ended);
}
