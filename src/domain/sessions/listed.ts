/** The sessions of a user, as the user and operators are shown them. */
import type { RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { readAddress } from '../networks.js';
import { LATEST_OF_USER, STANDS } from './standing.js';

const LISTED_COLUMNS = {
  id: 'uuid',
  openedAt: 'timestamptz',
  /** For operators alone: a thief who knows when a refresh token was rotated knows when its parent can be replayed. */
  rotatedAt: 'timestamptz',
  /** Day of the last use, in UTC (`2026-11-29`); today for all that is less than 24 hours ago. */
  lastUsedOn: 'text',
  expiresAt: 'timestamptz',
  ip: 'text?',
  userAgent: 'text?',
} as const;

export type ListedSession = RowOf<typeof LISTED_COLUMNS>;

/** As many as anybody reads. */
const MOST_LISTED = 1000;

/**
 * The user's living sessions, latest opened first: an order by use would tell which one was used just now.
 *
 * @param current id of the session that asks, which is among them however many were opened since; null for operators
 */
export async function listSessions(
  database: Database,
  userId: string,
  current: string | null,
): Promise<ListedSession[]> {
  // All of the last 24 hours is today. With the day alone, the first use after midnight would show at once.
  const sessions = await database.query(LISTED_COLUMNS)`
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
    SELECT sessions.id, opened_at AS "openedAt", rotated_at AS "rotatedAt", expires_at AS "expiresAt",
           to_char(CASE WHEN rotated_at > now - interval '24 hours' THEN now ELSE rotated_at END AT TIME ZONE 'UTC',
                   'YYYY-MM-DD') AS "lastUsedOn",
           host(ip) AS ip, user_agent AS "userAgent"
    FROM users, service, clock, LATERAL (
      (
        SELECT * FROM sessions
        WHERE sessions.id = ${current}::uuid AND expires_at > now AND ${STANDS}
      ) UNION ALL (
        SELECT * FROM ${LATEST_OF_USER} AS sessions
        WHERE sessions.id IS DISTINCT FROM ${current}::uuid AND expires_at > now AND ${STANDS}
        ORDER BY sessions.id DESC
        LIMIT ${current === null ? MOST_LISTED : MOST_LISTED - 1}::int4
      )
    ) AS sessions
    WHERE users.id = ${userId}::uuid
    ORDER BY sessions.id DESC`;
  // An older version kept mapped addresses as they came.
  return sessions.map((session) => ({ ...session, ip: readAddress(session.ip ?? '') }));
}
