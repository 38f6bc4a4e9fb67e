/** How sessions end before their time: one, or all of a user; each decided in one SQL statement. */
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { eventOf, recorded } from '../events/recorded.js';
import { VERSION_COLUMNS, type Versions } from '../liveness/replica-state.js';
import { firstRow } from '../service/service-row.js';
import { actorOfUser } from './actors.js';
import { KEPT_UNTIL_ALL_ENDED } from './kept.js';
import { isStanding, LATEST_OF_USER, STANDS, STOOD_UNTIL_NOW } from './standing.js';
import type { Asked } from '../tokens/asked.js';
import { told, type Trail } from '../reports/told.js';
import { RETENTION } from '../tokens/grace.js';

/** Why something ends, with the kinds of actors that end it so. */
export const ENDS = {
  logout: ['user'],
  logout_all: ['user', 'client'],
  session_ended: ['user', 'client'],
  password_changed: ['user', 'client', 'cli'],
  revoked: ['client'],
  refresh_reused: ['gatehouse'],
  user_disabled: ['client', 'cli'],
  user_deleted: ['client', 'cli'],
  ended_by_operator: ['client', 'cli'],
} as const satisfies Record<string, ActorKind[]>;
type ActorKind = 'user' | 'client' | 'cli' | 'gatehouse';

const SESSION_ENDED = eventOf({
  from: sql`ended JOIN noted ON noted.id = ended.id`,
  where: sql`ended.stood`,
  userId: sql`ended.user_id`,
  sessionId: sql`ended.id`,
});

/** Who ends something and why, for the revocation's row. */
export interface Ending {
  reason: keyof typeof ENDS;
  /** As it stands in rows (actors.ts). */
  actor: string;
}

/**
 * Ends one session of a user, with all its tokens, if it has not ended yet.
 *
 * @param keysVersion version of the ring that read the token that asks for it; null where no token is involved
 * @returns whether the user has such a session, ended or not, and the versions in force: where another version of the
 * ring is, nothing has changed
 */
export async function endSession(
  database: Database,
  { sid, userId }: { sid: string; userId: string | null },
  { reason, actor }: Ending,
  keysVersion: string | null,
  trail?: Trail,
): Promise<{ isKnown: boolean; seen: Versions }> {
  // Settles a logout against a refresh in flight: both write the session's row, so either the refresh is first and
  // its tokens die with the session, or it finds the session ended. A second logout waits for the first one's commit,
  // and writes too: where a standby must confirm, the first may be visible after a crash and yet on no other machine.
  // A session that its user's epoch had ended before is written down as well, but that is no new end.
  const rows = await database.prepared('end_session', { isNew: 'bool', isKnown: 'bool', ...VERSION_COLUMNS })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), ended AS (
      UPDATE sessions SET ended_at = coalesce(ended_at, now)
      FROM clock, service
      WHERE sessions.id = ${sid}::uuid AND (${userId}::uuid IS NULL OR sessions.user_id = ${userId}::uuid)
        AND (${keysVersion}::uuid IS NULL OR service.keys_version = ${keysVersion}::uuid)
      RETURNING sessions.id, user_id, expires_at, now,
                expires_at > now AND EXISTS (SELECT FROM users WHERE ${STOOD_UNTIL_NOW}) AS stood
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
      SELECT id, 'session', user_id, ${reason}, ${actor}, now, expires_at + ${RETENTION} FROM ended
      ON CONFLICT (id) DO NOTHING
      RETURNING id
    )${recorded(database, SESSION_ENDED, { type: 'session.ended', actor, reason }, trail)}
    SELECT EXISTS (SELECT FROM noted, ended WHERE stood) AS "isNew",
           EXISTS (
             SELECT FROM sessions
             WHERE id = ${sid}::uuid AND (${userId}::uuid IS NULL OR user_id = ${userId}::uuid)
           ) AS "isKnown",
           service.keys_version AS "keysVersion", service.clients_version AS "clientsVersion"
    FROM service`;
  const { isNew, isKnown, ...seen } = firstRow(rows);
  if (isNew) told.end.tell({ ended: 'session', reason, actor }, trail);
  return { isKnown, seen };
}

/** How many sessions are counted that end at once. All of them end: nobody waits for the counting of the rest. */
const MOST_COUNTED = 1000;

/** One more than that tells that there are more. */
export const ONE_TOO_MANY = MOST_COUNTED + 1;

/** Of `counted.sessions`, for the event. */
export const COUNT_TOLD = sql`jsonb_build_object('sessions', least(counted.sessions, ${MOST_COUNTED}), 'more', counted.sessions > ${MOST_COUNTED})`;

const SESSIONS_ENDED = eventOf({
  from: sql`caller, counted, clock`,
  userId: sql`caller.id`,
  sessionId: sql`caller.session_id`,
  detail: COUNT_TOLD,
});

/** How many sessions of a user have ended; `isMore` where they were more than that. */
export interface Ended {
  sessions: number;
  isMore: boolean;
}

/** @param counted up to {@link ONE_TOO_MANY} */
export function toEnded(counted: number): Ended {
  return { sessions: Math.min(counted, MOST_COUNTED), isMore: counted > MOST_COUNTED };
}

/**
 * Ends all sessions of the user whose live access token asks for it, or all but the one that asks.
 *
 * @returns how many live sessions ended, at most a thousand; null when the asking session has itself ended meanwhile
 */
export async function endAllSessions(
  database: Database,
  asked: Asked,
  { exceptCurrent }: { exceptCurrent: boolean },
  trail?: Trail,
): Promise<Ended | null> {
  const { userId, sid } = asked;
  const actor = actorOfUser(userId);
  // Settles logins and refreshes in flight, which meet the raised epoch, and two of these at once: the second finds
  // the epoch raised beyond that of its session as its snapshot shows it, and changes nothing.
  const rows = await database.query({ ended: 'int4' })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), caller AS (
      UPDATE users SET epoch = users.epoch + 1
      FROM service, sessions
      WHERE users.id = ${userId}::uuid AND sessions.id = ${sid}::uuid AND ${STANDS}
      RETURNING users.id, users.epoch AS raised, sessions.id AS session_id
    ), kept AS (
      UPDATE sessions SET epoch = sessions.epoch + 1
      FROM caller
      WHERE ${exceptCurrent}::boolean AND sessions.id = ${sid}::uuid
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', caller.id, caller.raised - 1, 'logout_all', ${actor}, now,
             ${KEPT_UNTIL_ALL_ENDED}
      FROM caller, clock
    ), counted AS MATERIALIZED (
      SELECT count(*)::int4 AS sessions
      FROM caller, users, service, clock, LATERAL (
        SELECT FROM ${LATEST_OF_USER} AS sessions
        WHERE sessions.expires_at > now AND ${STANDS}
          AND NOT (${exceptCurrent}::boolean AND sessions.id = ${sid}::uuid)
        LIMIT ${ONE_TOO_MANY}::int4
      ) AS doomed
      WHERE users.id = caller.id
    )${recorded(database, SESSIONS_ENDED, { type: 'session.ended', actor, reason: 'logout_all' }, trail)}
    SELECT counted.sessions AS ended FROM caller, counted`;
  const [row] = rows;
  if (row !== undefined) {
    told.end.tell({ ended: 'user', reason: 'logout_all', actor }, trail);
    return toEnded(row.ended);
  }
  // Nobody but a parallel call of the same session can have raised the epoch and kept the session: this one is next.
  return (await isStanding(database, asked))
    ? await endAllSessions(database, asked, { exceptCurrent }, trail)
    : null;
}
