/** The session that a new password opens in the place of all others: opened in one statement, and found again by a repetition. */
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import { NEW_ID } from '../sessions/ids.js';
import type { AccessToken } from '../tokens/reader.js';
import {
  OPENED_COLUMNS,
  OPENED_SESSION,
  toOpened,
  type Device,
  type Opened,
  type SessionRules,
} from '../sessions/sessions.js';
import { actorOfUser } from '../sessions/actors.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import { IS_LEFT_BY_OPERATORS, STANDS, STANDS_WITH_TOKEN, WAS_JUST_REPLACED } from '../sessions/standing.js';
import type { Asked } from '../tokens/asked.js';
import { RETENTION } from '../tokens/grace.js';

/** The access token that asks. */
export interface Asking extends Asked {
  exp: number;
}

export function askingOf({ claims, question }: AccessToken): Asking {
  return { ...question, exp: claims.exp };
}

/** The user whose token asks, and what for. */
export interface Found {
  /** Null for a user without a password. */
  passwordHash: string | null;
  /** Whether the session has just been replaced: then the token can repeat that change, and nothing else. */
  isReplaced: boolean;
}

/** The user behind a session that stands, or was replaced by a change of password that can still be repeated; null otherwise. */
export async function findAsking(
  database: Database,
  { userId, sid, lineage, ver, exp }: Asking,
  { replayWindowSeconds }: SessionRules,
): Promise<Found | null> {
  const [found] = await database.query({ passwordHash: 'text?', isReplaced: 'bool' })`
    WITH asked AS MATERIALIZED (
      SELECT clock_timestamp() AS now, ${lineage}::uuid AS lineage, ${ver}::int8 AS ver,
             to_timestamp(${exp}::float8) AS expires_at, make_interval(secs => ${replayWindowSeconds}::float8) AS replay_window
    )
    SELECT users.password_hash AS "passwordHash", sessions.succeeded_by IS NOT NULL AS "isReplaced"
    FROM asked LEFT JOIN beat ON true, sessions, users, service
    WHERE sessions.id = ${sid}::uuid AND users.id = ${userId}::uuid AND sessions.expires_at > asked.now
      AND (${STANDS_WITH_TOKEN} OR ${WAS_JUST_REPLACED})`;
  return found ?? null;
}

const PASSWORD_CHANGED = eventOf({
  from: sql`opened, asked`,
  userId: sql`opened.user_id`,
  sessionId: sql`opened.id`,
});

/**
 * Sets a new password, ends every session of the user, the asking one included, and opens one for the device that asks. A thief
 * who shares the asking session is out.
 *
 * The new session takes over from the old one when it ends for good, and what its claims were changed to. But not `auth_time`:
 * that says when the user was authenticated last (RFC 9068 section 2.2.1, OpenID Connect Core section 2), and the current
 * password was given just now.
 *
 * @returns null when nothing was changed: the hash is another one by now, the session that asks has ended, or its token was
 * revoked
 */
export async function replaceSessions(
  database: Database,
  { userId, sid, lineage, ver }: Asking,
  { verified, fresh }: { verified: string; fresh: string },
  device: Device,
  { refreshTtlSeconds }: SessionRules,
  trail?: Trail,
): Promise<Opened | null> {
  const actor = actorOfUser(userId);
  // Settles, in this order:
  // - two changes at once: the user's row is locked first, as everywhere, and the second finds another hash than the one
  //   that it verified;
  // - an end of the session that asks, by logout, theft or a revoked refresh token: its row is locked and judged as it is by
  //   then, so nothing is changed for a session whose end was answered;
  // - a revocation of the token that asks: its row in `revocations` is inserted here. A unique index also knows rows that
  //   were committed after this statement's snapshot was taken, so a revocation that was answered while this waited is found;
  // - logins in flight, which hold the epoch that this raises;
  // - refreshes in flight of the session that asks, which wait for its row and then find `succeeded_by`.
  const [row] = await database.query(OPENED_COLUMNS)`
    WITH asked AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now, ${lineage}::uuid AS lineage,
             ${ver}::int8 AS ver
    ), owner AS MATERIALIZED (
      SELECT id, username, scope, client_id, external_id, epoch, ver, disabled_at FROM users
      WHERE id = ${userId}::uuid AND password_hash = ${verified}
      FOR UPDATE
    ), asking AS MATERIALIZED (
      SELECT sessions.id, sessions.user_id, sessions.epoch, sessions.ver, sessions.claims, sessions.expires_at
      FROM asked, sessions, owner AS users, service
      WHERE sessions.id = ${sid}::uuid AND sessions.expires_at > now AND ${STANDS_WITH_TOKEN}
      FOR UPDATE OF sessions
    ), spent AS (
      INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
      SELECT lineage, 'token', asking.user_id, 'password_changed', ${actor}, now, asking.expires_at + ${RETENTION}
      FROM asking, asked
      ON CONFLICT (id) DO NOTHING
      RETURNING user_id
    ), changed AS (
      UPDATE users SET password_hash = ${fresh}, epoch = users.epoch + 1
      FROM spent WHERE users.id = spent.user_id
      RETURNING users.id, users.epoch AS raised
    ), opened AS (
      INSERT INTO sessions
        (id, user_id, epoch, ver, claims, opened_at, rotated_at, refresh_expires_at, expires_at, ip, user_agent)
      SELECT ${NEW_ID}, changed.id, asking.epoch + 1, asking.ver, asking.claims, greatest(now, service.sessions_not_before), now,
             least(date_trunc('second', now) + make_interval(secs => ${refreshTtlSeconds}::float8), asking.expires_at),
             asking.expires_at, ${device.ip}::inet, ${device.userAgent}::text
      FROM changed, asking, asked, service
      RETURNING *
    ), replaced AS (
      UPDATE sessions SET ended_at = now, succeeded_by = opened.id
      FROM opened, asked WHERE sessions.id = ${sid}::uuid
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', changed.id, changed.raised - 1, 'password_changed', ${actor}, now,
             ${KEPT_UNTIL_ALL_ENDED}
      FROM changed, asked
    )${recorded(database, PASSWORD_CHANGED, { type: 'password.changed', actor }, trail)}
    SELECT ${OPENED_SESSION} FROM opened, owner AS users, asked AS clock, service`;
  return row === undefined ? null : toOpened(row);
}

/**
 * Whether the session that has asked for a change was ended by nothing but that change. What ends it afterwards finds it ended, and
 * writes no such row.
 */
export async function isReplacedAlone(database: Database, { sid, lineage }: Asking): Promise<boolean> {
  // Settles the change against an end by an operator that was answered while the change waited for the user's row: that end is a row
  // which the change's own snapshot does not show. All other ends are found by what the change locks.
  const rows = await database.query({ id: 'uuid' })`
    SELECT sessions.id
    FROM (SELECT ${lineage}::uuid AS lineage) AS asked, sessions, service
    WHERE sessions.id = ${sid}::uuid AND ${IS_LEFT_BY_OPERATORS}`;
  return rows.length > 0;
}

/**
 * The session that replaced the asking one, once more, for whom the answer to that did not reach.
 *
 * @returns null when it does not stand, or the change can no longer be repeated
 */
export async function findReplacement(
  database: Database,
  { userId, sid, lineage, ver, exp }: Asking,
  { replayWindowSeconds }: SessionRules,
): Promise<Opened | null> {
  // Settles a repetition against an end of the new session, on that session's row. A change of password since then has ended
  // it, so the password that was proved is the one in force. It changes nothing, but writes, so that its commit waits for
  // the disk and the standbys that must confirm the first.
  const [row] = await database.query(OPENED_COLUMNS)`
    WITH asked AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now, ${lineage}::uuid AS lineage,
             ${ver}::int8 AS ver, to_timestamp(${exp}::float8) AS expires_at,
             make_interval(secs => ${replayWindowSeconds}::float8) AS replay_window
    ), replaced AS MATERIALIZED (
      SELECT sessions.succeeded_by
      FROM asked LEFT JOIN beat ON true, sessions, users, service
      WHERE sessions.id = ${sid}::uuid AND users.id = ${userId}::uuid AND ${WAS_JUST_REPLACED}
    ), opened AS (
      UPDATE sessions SET generation = generation
      FROM replaced, asked, users, service
      WHERE sessions.id = replaced.succeeded_by AND sessions.expires_at > asked.now AND ${STANDS}
      RETURNING sessions.*
    )
    SELECT ${OPENED_SESSION} FROM opened JOIN users ON users.id = opened.user_id, asked AS clock, service`;
  return row === undefined ? null : toOpened(row);
}
