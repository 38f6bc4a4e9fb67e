/** A backend opens a session for one of its own users: the row of the user is made, or found, in the statement that opens it. */
import { nullable } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { isUniqueViolation } from '../../database/unique-violation.js';
import type { Client } from '../clients.js';
import { AuthError, Reason } from '../errors.js';
import { eventOf, recorded } from '../events/recorded.js';
import { VERSION_COLUMNS } from '../liveness/replica-state.js';
import type { Trail } from '../reports/told.js';
import { firstRow } from '../service/service-row.js';
import { actorOfClient } from '../sessions/actors.js';
import { NEW_ID } from '../sessions/ids.js';
import {
  isFound,
  OPENED_SESSION,
  SESSION_COLUMNS,
  type Opened,
  type SessionRules,
} from '../sessions/sessions.js';
import { EPOCH_TO_KEEP, LATEST_OF_USER, STANDS, USER_IS_ENABLED } from '../sessions/standing.js';
import { subjectId, subjectName } from '../tokens/subjects.js';
import { refusedTime } from './said.js';

/** What a session is opened with. */
export interface Opening {
  externalId: string;
  /** As they are kept (tokens/session-claims.ts). */
  claims: string;
  /** How long the session lives, and a refresh token of it. */
  sessionTtlSeconds: number;
  /** Where the user is, as the backend says it. */
  ip: string | null;
  userAgent: string | null;
  /** When the user proved who it is, in seconds since 1970; null for now. A later time than now is refused. */
  provedAt: number | null;
}

const SESSION_OPENED = eventOf({
  from: sql`opened JOIN owner ON owner.id = opened.user_id, clock`,
  userId: sql`owner.id`,
  sessionId: sql`opened.id`,
  clientId: sql`owner.client_id`,
});

/** So many openings for one user would have to come between before we say that we cannot know; each that does is done. */
const MAX_OPENINGS = 50;

/**
 * Opens a session for a user of the client.
 *
 * @returns the session, and the versions of keys and clients in force
 * @throws {AuthError} user_disabled, also for a deleted user whose row is still there; too_many_sessions when the user has as many as the
 * rules allow; invalid_request for a time to come
 */
export async function openForClient(
  database: Database,
  client: Client,
  { externalId, claims, sessionTtlSeconds, ip, userAgent, provedAt }: Opening,
  { refreshTtlSeconds, sessionsPerUser: limit }: SessionRules,
  trail?: Trail,
): Promise<Opened> {
  const userId = subjectId(client.id, externalId);
  const name = subjectName(client.id, externalId);
  const facts = { type: 'session.opened', actor: actorOfClient(client) } as const;
  for (let attempt = 1; attempt <= MAX_OPENINGS; attempt += 1) {
    // Settles an opening against an end of all that the user has, a disabling and a deletion, on the user's row, which each of them writes:
    // this takes the row as it is when the others have committed. So the session has an epoch that an end which was answered before has
    // raised already, and one that comes later raises it. Of two first openings for one user, the primary key lets one make the row, and
    // the other finds it. A row that was deleted meanwhile is made anew.
    // With a limit it also settles two openings for one user: the second one finds another version of the row (`xmin`) than its snapshot
    // shows, and that snapshot lacks the first one's session. It opens nothing, and is asked again.
    // A client that was removed, or lost its permission, before this begins opens nothing: its row is read here once more.
    const rows = await database.prepared('open_for_client', {
      ...nullable(SESSION_COLUMNS),
      isFull: 'bool',
      isOvertaken: 'bool',
      isToCome: 'bool',
      isRemoved: 'bool',
      ...VERSION_COLUMNS,
    })`
      WITH clock AS MATERIALIZED (
        SELECT date_trunc('milliseconds', clock_timestamp()) AS now,
               ${provedAt}::float8 > extract(epoch FROM clock_timestamp()) IS TRUE AS is_to_come
      ), opener AS MATERIALIZED (
        SELECT id FROM clients WHERE id = ${client.id} AND 'sessions:open' = ANY (permissions)
      ), seen AS MATERIALIZED (
        SELECT xmin AS version FROM users WHERE id = ${userId}::uuid
      ), owner AS (
        INSERT INTO users (id, username, client_id, external_id, created_at)
        SELECT ${userId}::uuid, ${name}, opener.id, ${externalId}, now FROM opener, clock WHERE NOT clock.is_to_come
        ON CONFLICT (id) DO UPDATE SET epoch = users.epoch
          WHERE ${limit}::int4 IS NULL OR users.xmin = (SELECT version FROM seen)
        RETURNING users.*
      ), standing AS MATERIALIZED (
        SELECT count(*) AS sessions
        FROM users, service, clock, LATERAL (
          SELECT FROM ${LATEST_OF_USER} AS sessions WHERE sessions.expires_at > now AND ${STANDS}
          LIMIT coalesce(${limit}::int4, 0)
        ) AS sessions
        WHERE users.id = ${userId}::uuid
      ), verdict AS MATERIALIZED (
        SELECT standing.sessions >= ${limit}::int4 IS TRUE AS full, NOT EXISTS (SELECT FROM opener) AS removed,
               NOT EXISTS (SELECT FROM owner) AS overtaken
        FROM standing
      ), opened AS (
        INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip, user_agent, claims)
        SELECT ${NEW_ID}, users.id, ${EPOCH_TO_KEEP}, greatest(now, service.sessions_not_before), now,
               date_trunc('second', now) + make_interval(secs => ${Math.min(refreshTtlSeconds, sessionTtlSeconds)}::float8),
               date_trunc('second', now) + make_interval(secs => ${sessionTtlSeconds}::float8),
               ${ip}::inet, ${userAgent}::text, ${claims}::text
        FROM owner AS users, service, clock, verdict
        WHERE ${USER_IS_ENABLED} AND NOT verdict.full
        RETURNING *
      )${recorded(database, SESSION_OPENED, facts, trail)}
      SELECT ${OPENED_SESSION},
             verdict.full AS "isFull", verdict.overtaken AS "isOvertaken", clock.is_to_come AS "isToCome", verdict.removed AS "isRemoved"
      FROM service, clock, verdict LEFT JOIN opened ON true LEFT JOIN owner AS users ON users.id = opened.user_id`.catch(
      retryTwin,
    );
    if (rows === null) continue;
    const { isFull, isOvertaken, isToCome, isRemoved, keysVersion, clientsVersion, ...session } =
      firstRow(rows);
    if (isFound(session)) return { session, versions: { keysVersion, clientsVersion } };
    if (isRemoved) throw new AuthError('invalid_client');
    if (isToCome) throw refusedTime();
    if (isOvertaken) continue;
    throw new AuthError(isFull ? 'too_many_sessions' : 'user_disabled');
  }
  throw new AuthError('temporarily_unavailable', {
    cause: new Reason('too many openings for one user at once'),
  });
}

/** Of two first openings at once, the second may meet the other's name before its id: then the row is there now, and is to be found. */
function retryTwin(error: unknown): null {
  if (isUniqueViolation(error)) return null;
  throw error;
}
