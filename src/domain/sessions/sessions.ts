/** Sessions: opened by a password and kept by rotation, each decided in one SQL statement. */
import type { Database } from '../../database/prisma.js';
import { VERSION_COLUMNS, type Versions } from '../liveness/replica-state.js';
import { AuthError } from '../errors.js';
import { parseJti, type RefreshClaims, type Session } from '../tokens/claims.js';
import { firstRow } from '../service-row.js';
import { CLAIMS_VERSION, PROVED_EPOCH_IS_IN_FORCE, STANDS_OR_WAS_KEPT, USER_IS_ENABLED } from './standing.js';
import { RETENTION } from '../tokens/grace.js';
import type { Proved } from '../users/authenticate.js';
import { nullable } from '../../database/columns.js';

export interface SessionRules {
  sessionTtlSeconds: number;
  refreshTtlSeconds: number;
  /** How long after a rotation its parent may come back; 0 switches that off. */
  replayWindowSeconds: number;
}

/** Where a session was opened. */
export interface Device {
  ip: string;
  userAgent: string | null;
}

/** The row's own verdict on a refresh token. `superseded` costs nothing, `reused` has ended the session. */
export type Rotation =
  | { verdict: 'rotated'; session: Session }
  | { verdict: 'superseded' | 'reused' | 'dead' }
  | { verdict: 'outdated'; seen: Versions };

/** A {@link Session}, as the statements below bring it. */
const SESSION_COLUMNS = {
  id: 'uuid',
  userId: 'uuid',
  username: 'text',
  scope: 'text',
  ver: 'float8',
  generation: 'int4',
  openedAt: 'float8',
  rotatedAt: 'float8',
  refreshExpiresAt: 'float8',
  expiresAt: 'float8',
  now: 'float8',
} as const satisfies Record<keyof Session, string>;

/**
 * Opens a session for a user whose password was right when `epoch` was read.
 *
 * @returns the session, and the versions of keys and clients in force
 * @throws {AuthError} invalid_credentials when the user has been disabled, got a new password or logged out everywhere
 * since then
 */
export async function openSession(
  database: Database,
  user: Proved,
  device: Device,
  rules: SessionRules,
): Promise<{ session: Session; versions: Versions }> {
  // Settles a login in flight against disabling, a new password, logout-all and a retired key: each of them raises
  // an epoch in the statement that ends the sessions. Either this insert sees the raised one and inserts nothing,
  // or it stores the old one, which no liveness statement will ever find equal.
  // The id is a UUIDv7 by the primary's clock, built by hand since PostgreSQL makes its own only from 18 on.
  const [row] = await database.prepared('open_session', { ...SESSION_COLUMNS, ...VERSION_COLUMNS })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), opened AS (
      INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip, user_agent)
      SELECT overlay(
               overlay(gen_random_uuid()::text PLACING
                 overlay(lpad(to_hex((extract(epoch FROM now) * 1000)::bigint), 12, '0') PLACING '-' FROM 9 FOR 0)
                 FROM 1 FOR 13)
               PLACING '7' FROM 15 FOR 1
             )::uuid,
             users.id, proved.epoch, greatest(now, service.sessions_not_before), now,
             date_trunc('second', now) + make_interval(secs => ${Math.min(rules.refreshTtlSeconds, rules.sessionTtlSeconds)}::float8),
             date_trunc('second', now) + make_interval(secs => ${rules.sessionTtlSeconds}::float8),
             ${device.ip}::inet, ${device.userAgent}::text
      FROM users, service, clock, (SELECT ${user.epoch}::int8 AS epoch) AS proved
      WHERE users.id = ${user.id}::uuid AND ${USER_IS_ENABLED} AND ${PROVED_EPOCH_IS_IN_FORCE}
      RETURNING *
    )
    SELECT opened.id, users.id AS "userId", users.username, users.scope, (users.ver + opened.ver)::float8 AS ver, opened.generation,
           floor(extract(epoch FROM opened.opened_at))::float8 AS "openedAt",
           extract(epoch FROM opened.rotated_at)::float8 AS "rotatedAt",
           extract(epoch FROM opened.refresh_expires_at)::float8 AS "refreshExpiresAt",
           extract(epoch FROM opened.expires_at)::float8 AS "expiresAt",
           extract(epoch FROM clock.now)::float8 AS now,
           service.keys_version AS "keysVersion", service.clients_version AS "clientsVersion"
    FROM opened JOIN users ON users.id = opened.user_id, service, clock`;
  if (row === undefined) throw new AuthError('invalid_credentials');
  const { keysVersion, clientsVersion, ...session } = row;
  return { session, versions: { keysVersion, clientsVersion } };
}

/**
 * Answers a refresh token by the row's own generation and the primary's clock (docs/decisions/0006-refresh-replay-window.md).
 *
 * @param keysVersion version of the ring that read the token; another one in force gives `outdated` and changes nothing
 */
export async function rotateSession(
  database: Database,
  claims: RefreshClaims,
  keysVersion: string,
  rules: SessionRules,
): Promise<Rotation> {
  const { generation } = parseJti(claims.jti);
  const window = rules.replayWindowSeconds;
  // Settles parallel refreshes, theft, and a refresh against an end, all on the session's row. The row decides by
  // what it holds when its lock is granted: of two calls with one token the first rotates and the second finds the
  // generation raised, and so gets the same successor; a call that waited for an end finds `ended_at` set.
  const rows = await database.prepared('rotate_session', {
    ...nullable(SESSION_COLUMNS),
    ended: 'bool',
    ...VERSION_COLUMNS,
  })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), decided AS (
      UPDATE sessions SET
        generation = CASE
          WHEN generation = ${generation}::int4 AND to_timestamp(${claims.exp}::float8) > now
          THEN generation + 1 ELSE generation END,
        rotated_at = CASE
          WHEN generation = ${generation}::int4 AND to_timestamp(${claims.exp}::float8) > now
          THEN now ELSE rotated_at END,
        refresh_expires_at = CASE
          WHEN generation = ${generation}::int4 AND to_timestamp(${claims.exp}::float8) > now
          THEN least(date_trunc('second', now) + make_interval(secs => ${rules.refreshTtlSeconds}::float8), expires_at)
          ELSE refresh_expires_at END,
        ended_at = CASE
          WHEN generation > ${generation}::int4
            AND (${window}::float8 = 0 OR now > rotated_at + make_interval(secs => ${window}::float8))
          THEN now END
      FROM clock, service, users
      WHERE sessions.id = ${claims.sid}::uuid AND sessions.user_id = ${claims.sub}::uuid
        AND sessions.expires_at > now AND service.keys_version = ${keysVersion}::uuid
        AND ${STANDS_OR_WAS_KEPT}
      RETURNING sessions.*, users.username, users.scope, ${CLAIMS_VERSION} AS claims_version, clock.now
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
      SELECT id, 'session', user_id, 'refresh_reused', 'gatehouse', now, expires_at + ${RETENTION}
      FROM decided WHERE ended_at IS NOT NULL
      ON CONFLICT (id) DO NOTHING
    )
    SELECT decided.id, decided.user_id AS "userId", decided.username, decided.scope,
           decided.claims_version AS ver, decided.generation,
           floor(extract(epoch FROM decided.opened_at))::float8 AS "openedAt",
           extract(epoch FROM decided.rotated_at)::float8 AS "rotatedAt",
           extract(epoch FROM decided.refresh_expires_at)::float8 AS "refreshExpiresAt",
           extract(epoch FROM decided.expires_at)::float8 AS "expiresAt",
           extract(epoch FROM decided.now)::float8 AS now,
           decided.ended_at IS NOT NULL AS ended,
           service.keys_version AS "keysVersion", service.clients_version AS "clientsVersion"
    FROM service LEFT JOIN decided ON true`;
  const { ended, keysVersion: inForce, clientsVersion, ...session } = firstRow(rows);
  if (inForce !== keysVersion) return { verdict: 'outdated', seen: { keysVersion: inForce, clientsVersion } };
  if (!isFound(session)) return { verdict: 'dead' };
  if (ended) return { verdict: 'reused' };
  // The row now stands one past the token: it was rotated by this call, or within the window by one before.
  if (session.generation === generation + 1) return { verdict: 'rotated', session };
  return { verdict: session.generation > generation ? 'superseded' : 'dead' };
}

function isFound(session: { [K in keyof Session]: Session[K] | null }): session is Session {
  return session.id !== null;
}
