/** A user who is deleted: gone at once for everybody, and the rows a little later, in batches. */
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { AuthError, Reason } from '../errors.js';
import { eventOf, recorded } from '../events/recorded.js';
import { forgetting } from '../guessing/forgetting.js';
import { NOTHING, rowsOf } from '../guessing/guesses.js';
import { told, type Trail } from '../reports/told.js';
import { firstRow } from '../service/service-row.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import { IS_DELETED } from '../sessions/standing.js';
import { findUserById } from '../users/found.js';

/** Rows that one statement deletes at most. */
const BATCH = 1000;

/** Users that it looks at: for many more, PostgreSQL would read all sessions and events rather than look up those of each. */
const USERS_AT_ONCE = 100;

/** Somebody else would have to rename the user this often meanwhile before we say that we cannot know. */
const MAX_ATTEMPTS = 5;

/** The event of a request in which somebody acted, or tried to act, as the user. */
const IS_ADDRESS_OF_USER = sql`((events.ip IS NOT NULL OR events.user_agent IS NOT NULL)
          AND events.actor !~ '^(?:client|cli):')`;

const USER_DELETED = eventOf({ from: sql`deleted`, userId: sql`deleted.id` });

const FORGOTTEN = forgetting(sql`EXISTS (SELECT FROM deleted)`);

/**
 * Deletes a user, who may be gone already: ends every session, frees the name, and forgets the password and the attempts at it. Rows of
 * sessions are deleted by {@link pruneDeletedUsers}.
 *
 * @param actor as it stands in rows
 */
export async function deleteUser(
  database: Database,
  id: string,
  actor: string,
  trail?: Trail,
): Promise<void> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const username = (await findUserById(database, id))?.username ?? null;
    const { account, keys } = username === null ? NOTHING : rowsOf(username);
    // Settles logins, refreshes and changes of a password in flight: they hold the epoch that this raises, or the hash that goes. Settles
    // every other change of the user, and codes: those lock this row as well, and none of them finds a user who is deleted, nor one whose
    // name has become another. The name is free from the commit on. A change of the name is waited for, and the new one is read again.
    // A second deletion finds nobody, and writes all the same, so that its commit waits for all that must confirm the first one. The id
    // with a space stands for the name where another user is called like this id.
    const rows = await database.query({ isDeleted: 'bool', isThere: 'bool' })`
      WITH clock AS MATERIALIZED (
        SELECT date_trunc('milliseconds', clock_timestamp()) AS now
      ), asked AS MATERIALIZED (
        SELECT ${account}::text AS account, ${keys}::text[] AS keys
      ), deleted AS (
        UPDATE users SET
          username = CASE WHEN EXISTS (SELECT FROM users AS others WHERE others.username = ${id}::text)
            THEN ' ' ELSE '' END || ${id}::text,
          client_id = NULL, external_id = NULL, password_hash = NULL, scope = '', epoch = epoch + 1, disabled_at = coalesce(disabled_at, now), deleted_at = now
        FROM clock
        WHERE users.id = ${id}::uuid AND users.username = ${username}::text AND NOT ${IS_DELETED}
        RETURNING users.id, users.epoch - 1 AS ended, now
      ), codes AS (
        DELETE FROM password_codes USING deleted WHERE password_codes.user_id = deleted.id
      ), ${FORGOTTEN}, noted AS (
        INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
        SELECT gen_random_uuid(), 'user', deleted.id, ended, 'user_deleted', ${actor}, now, ${KEPT_UNTIL_ALL_ENDED}
        FROM deleted
      ), waited AS (
        UPDATE service SET epoch = epoch WHERE NOT EXISTS (SELECT FROM deleted)
      )${recorded(database, USER_DELETED, { type: 'user.deleted', actor }, trail)}
      SELECT EXISTS (SELECT FROM deleted) AS "isDeleted",
             EXISTS (SELECT FROM users WHERE users.id = ${id}::uuid AND NOT ${IS_DELETED}) AS "isThere"`;
    const { isDeleted, isThere } = firstRow(rows);
    if (isDeleted) {
      told.end.tell({ ended: 'user', reason: 'user_deleted', actor }, trail);
      if (trail !== undefined) trail.user = id;
      return;
    }
    // A concurrent deletion still shows in the snapshot: then the next look finds nobody.
    if (!isThere) return;
  }
  throw new AuthError('temporarily_unavailable', { cause: new Reason('the user keeps changing') });
}

/**
 * Deletes what is left of users who were deleted: rows of their sessions, and addresses in their events, batch by batch, and in the end their own
 * rows. Events of operators about them keep the operator's address.
 *
 * @returns how many rows went
 */
export async function pruneDeletedUsers(database: Database, signal?: AbortSignal): Promise<number> {
  for (let gone = 0; ;) {
    // Settles replicas that do this at once: rows that somebody holds are passed by. A session that a login in flight has opened
    // goes with the user's row, on which it hangs.
    const [row] = await database.query({ sessions: 'int4', events: 'int4', users: 'int4' })`
      WITH doomed AS MATERIALIZED (
        SELECT users.id FROM users WHERE ${IS_DELETED} ORDER BY users.id LIMIT ${USERS_AT_ONCE}::int4 FOR UPDATE SKIP LOCKED
      ), closed AS (
        DELETE FROM sessions WHERE ctid = ANY (ARRAY(
          SELECT sessions.ctid FROM doomed, sessions WHERE sessions.user_id = doomed.id
          LIMIT ${BATCH}::int4 FOR UPDATE OF sessions SKIP LOCKED
        )) RETURNING sessions.id
      ), addressed AS MATERIALIZED (
        SELECT events.ctid FROM doomed, events
        WHERE events.user_id = doomed.id AND ${IS_ADDRESS_OF_USER}
        LIMIT ${BATCH}::int4 FOR UPDATE OF events SKIP LOCKED
      ), anonymous AS (
        UPDATE events SET ip = NULL, user_agent = NULL
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM addressed))
        RETURNING id
      ), forgotten AS (
        DELETE FROM users USING doomed
        WHERE users.id = doomed.id AND NOT EXISTS (SELECT FROM sessions WHERE sessions.user_id = doomed.id)
          AND NOT EXISTS (SELECT FROM events WHERE events.user_id = doomed.id AND ${IS_ADDRESS_OF_USER})
        RETURNING users.id
      )
      SELECT (SELECT count(*) FROM closed)::int4 AS sessions, (SELECT count(*) FROM anonymous)::int4 AS events,
             (SELECT count(*) FROM forgotten)::int4 AS users`;
    const { sessions = 0, events = 0, users = 0 } = row ?? {};
    gone += sessions + users;
    if (sessions + events + users === 0 || signal?.aborted === true) return gone;
  }
}
