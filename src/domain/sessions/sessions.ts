/** Sessions: opened by a password and kept by rotation, each decided in one SQL statement. */
import { nullable } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { VERSION_COLUMNS, type Versions } from '../liveness/replica-state.js';
import { AuthError, Reason } from '../errors.js';
import { parseJti, type Session } from '../tokens/claims.js';
import type { RefreshToken } from '../tokens/reader.js';
import { IS_ANSWERING, WINDOW_ENDS } from '../liveness/beat.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import { firstRow } from '../service/service-row.js';
import { actorOfUser, GATEHOUSE } from './actors.js';
import { NEW_ID } from './ids.js';
import {
  CLAIMS_VERSION,
  LATEST_OF_USER,
  PROVED_EPOCH_IS_IN_FORCE,
  IS_HELD,
  MAY_BE_REPEATED,
  STANDS,
  STANDS_WAS_KEPT_OR_IS_HELD,
  USER_IS_ENABLED,
} from './standing.js';
import { RETENTION } from '../tokens/grace.js';
import type { Proved } from '../users/authenticate.js';

export interface SessionRules {
  sessionTtlSeconds: number;
  refreshTtlSeconds: number;
  /** How long after a rotation its parent may come back, outages not counted; 0 switches that off. */
  replayWindowSeconds: number;
  /** How many living sessions a user may have; null for any number. */
  sessionsPerUser: number | null;
}

/** Where a session was opened. */
export interface Device {
  ip: string;
  userAgent: string | null;
}

/**
 * The row's own verdict on a refresh token. `superseded` costs nothing, `reused` has ended the session. `undecided`: whether the
 * window is over is known at the next beat. `isReplay`: it was rotated before this call, in another millisecond.
 */
export type Rotation =
  | { verdict: 'rotated'; session: Session; isReplay: boolean }
  | { verdict: 'superseded' | 'reused' | 'undecided' | 'dead' }
  | { verdict: 'outdated'; seen: Versions };

/** A {@link Session}, as statements bring it. */
export const SESSION_COLUMNS = {
  id: 'uuid',
  userId: 'uuid',
  username: 'text',
  scope: 'text',
  clientId: 'text?',
  externalId: 'text?',
  claims: 'text?',
  ver: 'float8',
  generation: 'int4',
  openedAt: 'float8',
  rotatedAt: 'float8',
  refreshExpiresAt: 'float8',
  expiresAt: 'float8',
  now: 'float8',
} as const satisfies Record<keyof Session, string>;

const SESSION_OPENED = eventOf({
  from: sql`opened, clock`,
  userId: sql`opened.user_id`,
  sessionId: sql`opened.id`,
});
const SESSION_REUSED = eventOf({
  from: sql`decided JOIN noted ON noted.id = decided.id`,
  userId: sql`decided.user_id`,
  sessionId: sql`decided.id`,
});

const CHANGED_MEANWHILE = new Reason('changed_meanwhile');

/** So many logins of one user would have to come between before we say that we cannot know; each that does is done. */
const MAX_OPENINGS = 50;

/** A session that a statement has opened or found, and the versions of keys and clients in force. */
export interface Opened {
  session: Session;
  versions: Versions;
}

export const OPENED_COLUMNS = { ...SESSION_COLUMNS, ...VERSION_COLUMNS } as const;

/** {@link OPENED_COLUMNS} of the row `opened`, beside which the statement has `users`, `service` and `clock`. */
export const OPENED_SESSION = sql`
    opened.id, users.id AS "userId", users.username, users.scope, users.client_id AS "clientId", users.external_id AS "externalId",
           opened.claims::text AS claims, (users.ver + opened.ver)::float8 AS ver, opened.generation,
           floor(extract(epoch FROM opened.opened_at))::float8 AS "openedAt",
           extract(epoch FROM opened.rotated_at)::float8 AS "rotatedAt",
           extract(epoch FROM opened.refresh_expires_at)::float8 AS "refreshExpiresAt",
           extract(epoch FROM opened.expires_at)::float8 AS "expiresAt",
           extract(epoch FROM clock.now)::float8 AS now,
           service.keys_version AS "keysVersion", service.clients_version AS "clientsVersion"`;

/**
 * Opens a session for a user whose password was right when `epoch` was read.
 *
 * @returns the session, and the versions of keys and clients in force
 * @throws {AuthError} invalid_credentials when the user has been disabled, got a new password or logged out everywhere
 * since then; too_many_sessions when the user has as many as the rules allow
 */
export async function openSession(
  database: Database,
  user: Proved,
  device: Device,
  rules: SessionRules,
  trail?: Trail,
): Promise<Opened> {
  const limit = rules.sessionsPerUser;
  const facts = { type: 'session.opened', actor: actorOfUser(user.id) } as const;
  for (let attempt = 1; attempt <= MAX_OPENINGS; attempt += 1) {
    // Settles a login in flight against disabling, a new password, logout-all and a retired key: each of them raises
    // an epoch in the statement that ends the sessions. Either this insert sees the raised one and inserts nothing,
    // or it stores the old one, which no liveness statement will ever find equal.
    // With a limit it also settles two logins of one user. Each writes the user's row, so the second waits for the first, and
    // then finds another version of the row (`xmin`) than its snapshot shows: that snapshot lacks the first one's session. It
    // opens nothing, and is asked again.
    const rows = await database.prepared('open_session', {
      ...nullable(SESSION_COLUMNS),
      isFull: 'bool',
      isOvertaken: 'bool',
      ...VERSION_COLUMNS,
    })`
      WITH clock AS MATERIALIZED (
        SELECT date_trunc('milliseconds', clock_timestamp()) AS now
      ), seen AS MATERIALIZED (
        SELECT id, xmin AS version FROM users WHERE id = ${user.id}::uuid AND ${limit}::int4 IS NOT NULL
      ), turn AS (
        UPDATE users SET epoch = users.epoch FROM seen
        WHERE users.id = seen.id AND users.xmin = seen.version
        RETURNING users.id
      ), standing AS MATERIALIZED (
        SELECT count(*) AS sessions
        FROM users, service, clock, LATERAL (
          SELECT FROM ${LATEST_OF_USER} AS sessions WHERE sessions.expires_at > now AND ${STANDS}
          LIMIT coalesce(${limit}::int4, 0)
        ) AS sessions
        WHERE users.id = ${user.id}::uuid
      ), verdict AS MATERIALIZED (
        SELECT sessions >= ${limit}::int4 IS TRUE AS full, EXISTS (SELECT FROM seen) AND NOT EXISTS (SELECT FROM turn) AS overtaken
        FROM standing
      ), opened AS (
        INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip, user_agent)
        SELECT ${NEW_ID}, users.id, proved.epoch, greatest(now, service.sessions_not_before), now,
               date_trunc('second', now) + make_interval(secs => ${Math.min(rules.refreshTtlSeconds, rules.sessionTtlSeconds)}::float8),
               date_trunc('second', now) + make_interval(secs => ${rules.sessionTtlSeconds}::float8),
               ${device.ip}::inet, ${device.userAgent}::text
        FROM users, service, clock, verdict, (SELECT ${user.epoch}::int8 AS epoch) AS proved
        WHERE users.id = ${user.id}::uuid AND ${USER_IS_ENABLED} AND ${PROVED_EPOCH_IS_IN_FORCE}
          AND NOT verdict.full AND NOT verdict.overtaken
        RETURNING *
      )${recorded(database, SESSION_OPENED, facts, trail)}
      SELECT ${OPENED_SESSION},
             verdict.full AS "isFull", verdict.overtaken AS "isOvertaken"
      FROM service, clock, verdict LEFT JOIN opened ON true LEFT JOIN users ON users.id = opened.user_id`;
    const { isFull, isOvertaken, keysVersion, clientsVersion, ...session } = firstRow(rows);
    if (isFound(session)) return { session, versions: { keysVersion, clientsVersion } };
    if (isFull) throw new AuthError('too_many_sessions');
    if (!isOvertaken) throw new AuthError('invalid_credentials', { cause: CHANGED_MEANWHILE });
  }
  throw new AuthError('temporarily_unavailable', {
    cause: new Reason('too many logins of one user at once'),
  });
}

export function toOpened({ keysVersion, clientsVersion, ...session }: Session & Versions): Opened {
  return { session, versions: { keysVersion, clientsVersion } };
}

/**
 * Answers a refresh token by the row's own generation and the primary's clock (docs/decisions/0006-refresh-replay-window.md).
 * Where the beat is stale, nobody knows how long the window is: nothing is theft then, and a late parent is left undecided.
 *
 * @param keysVersion version of the ring that read the token; another one in force gives `outdated` and changes nothing
 */
export async function rotateSession(
  database: Database,
  { claims, question }: RefreshToken,
  keysVersion: string,
  rules: SessionRules,
  trail?: Trail,
): Promise<Rotation> {
  const { generation } = parseJti(claims.jti);
  const facts = { type: 'session.reused', actor: GATEHOUSE, outcome: 'refresh_reused' } as const;
  // Settles parallel refreshes, theft, and a refresh against an end, all on the session's row. The row decides by
  // what it holds when its lock is granted: of two calls with one token the first rotates and the second finds the
  // generation raised, and so gets the same successor; a call that waited for an end finds `ended_at` set. A call that
  // waited for a new password, or comes a little later, finds `succeeded_by` set: it was superseded, and touches nothing.
  // Where an operator's row holds the session, which can be lifted, nothing is minted, and a theft is one all the same.
  // The beat is of the statement's snapshot, so never later than its clock: a statement that stood still in between finds
  // it too old.
  const rows = await database.prepared('rotate_session', {
    ...nullable(SESSION_COLUMNS),
    ended: 'bool',
    isLate: 'bool',
    replaced: 'bool',
    isHeld: 'bool',
    ...VERSION_COLUMNS,
  })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now,
             make_interval(secs => ${rules.replayWindowSeconds}::float8) AS replay_window, ${IS_HELD} AS is_held
      FROM (SELECT ${claims.sid}::uuid AS id) AS asked
    ), decided AS (
      UPDATE sessions SET
        generation = CASE
          WHEN succeeded_by IS NULL AND NOT is_held AND generation = ${generation}::int4 AND to_timestamp(${claims.exp}::float8) > now
          THEN generation + 1 ELSE generation END,
        rotated_at = CASE
          WHEN succeeded_by IS NULL AND NOT is_held AND generation = ${generation}::int4 AND to_timestamp(${claims.exp}::float8) > now
          THEN now ELSE rotated_at END,
        refresh_expires_at = CASE
          WHEN succeeded_by IS NULL AND NOT is_held AND generation = ${generation}::int4 AND to_timestamp(${claims.exp}::float8) > now
          THEN least(date_trunc('second', now) + make_interval(secs => ${rules.refreshTtlSeconds}::float8), expires_at)
          ELSE refresh_expires_at END,
        ended_at = CASE
          WHEN succeeded_by IS NOT NULL THEN ended_at
          WHEN generation > ${generation}::int4 AND (replay_window = '0' OR (now > ${WINDOW_ENDS} AND ${IS_ANSWERING}))
          THEN now END
      FROM clock LEFT JOIN beat ON true, service, users
      WHERE sessions.id = ${claims.sid}::uuid AND sessions.user_id = ${question.userId}::uuid
        AND sessions.expires_at > now AND service.keys_version = ${keysVersion}::uuid
        AND users.id = sessions.user_id
        AND (${STANDS_WAS_KEPT_OR_IS_HELD} OR sessions.succeeded_by IS NOT NULL AND ${MAY_BE_REPEATED})
      RETURNING sessions.*, users.username, users.scope, users.client_id, users.external_id, ${CLAIMS_VERSION} AS claims_version, clock.now,
                now > ${WINDOW_ENDS} AS is_late, is_held
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
      SELECT id, 'session', user_id, 'refresh_reused', 'gatehouse', now, expires_at + ${RETENTION}
      FROM decided WHERE ended_at IS NOT NULL AND succeeded_by IS NULL
      ON CONFLICT (id) DO NOTHING
      RETURNING id
    )${recorded(database, SESSION_REUSED, facts, trail)}
    SELECT decided.id, decided.user_id AS "userId", decided.username, decided.scope,
           decided.client_id AS "clientId", decided.external_id AS "externalId", decided.claims::text AS claims,
           decided.claims_version AS ver, decided.generation,
           floor(extract(epoch FROM decided.opened_at))::float8 AS "openedAt",
           extract(epoch FROM decided.rotated_at)::float8 AS "rotatedAt",
           extract(epoch FROM decided.refresh_expires_at)::float8 AS "refreshExpiresAt",
           extract(epoch FROM decided.expires_at)::float8 AS "expiresAt",
           extract(epoch FROM decided.now)::float8 AS now,
           decided.ended_at IS NOT NULL AS ended, decided.is_late IS TRUE AS "isLate",
           decided.succeeded_by IS NOT NULL AS replaced, decided.is_held IS TRUE AS "isHeld",
           service.keys_version AS "keysVersion", service.clients_version AS "clientsVersion"
    FROM service LEFT JOIN decided ON true`;
  const {
    ended,
    isLate,
    replaced,
    isHeld,
    keysVersion: inForce,
    clientsVersion,
    ...session
  } = firstRow(rows);
  if (inForce !== keysVersion) return { verdict: 'outdated', seen: { keysVersion: inForce, clientsVersion } };
  if (!isFound(session)) return { verdict: 'dead' };
  if (replaced) return { verdict: 'superseded' };
  if (ended) return { verdict: 'reused' };
  if (isHeld) return { verdict: 'dead' };
  // The row now stands one past the token: it was rotated by this call, or within the window by one before.
  if (session.generation === generation + 1 && !isLate)
    return { verdict: 'rotated', session, isReplay: session.rotatedAt < session.now };
  // Late, and yet not theft: the beat is stale.
  if (session.generation === generation + 1) return { verdict: 'undecided' };
  return { verdict: session.generation > generation ? 'superseded' : 'dead' };
}

/** Whether a statement that may find none has found a session. */
export function isFound(session: { [K in keyof Session]: Session[K] | null }): session is Session {
  return session.id !== null;
}
