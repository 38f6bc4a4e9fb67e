/** Users as operators manage them: added, disabled, enabled, and given a new password. */
import { v7 as uuidv7 } from 'uuid';

import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import { GATEHOUSE } from '../sessions/actors.js';
import { forgetting } from '../guessing/forgetting.js';
import { locksOf, NOTHING } from '../guessing/guesses.js';
import type { Ending } from '../sessions/endings.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import { IS_DELETED, USER_IS_ENABLED } from '../sessions/standing.js';
import type { TokenRules } from '../tokens/claims.js';
import { bytesThatFit, fitsIntoTokens } from '../tokens/length.js';
import type { Whom } from './found.js';
import { canonicalUsername } from './usernames.js';

export interface User {
  id: string;
  username: string;
  scope: string;
}

const USER_ADDED = eventOf({ from: sql`added`, userId: sql`added.id` });

/**
 * Adds a user under a canonical name; null when the name is taken.
 *
 * @param user.passwordHash null for a user who is to set a password with a code
 * @param by the actor, as it stands in rows; here and below
 */
export async function addUser(
  database: Database,
  user: { username: string; passwordHash: string | null; scope: string },
  by: string = GATEHOUSE,
  trail?: Trail,
): Promise<User | null> {
  // Settles two additions of one name: the unique index lets one in.
  const rows = await database.query({ id: 'uuid', username: 'text', scope: 'text' })`
    WITH added AS (
      INSERT INTO users (id, username, password_hash, scope, created_at)
      VALUES (${uuidv7()}::uuid, ${user.username}, ${user.passwordHash}::text, ${user.scope}, clock_timestamp())
      ON CONFLICT (username) DO NOTHING
      RETURNING id, username, scope, created_at AS now
    )${recorded(database, USER_ADDED, { type: 'user.added', actor: by }, trail)}
    SELECT id, username, scope FROM added`;
  return rows[0] ?? null;
}

/** So many are named at once: where ISSUER is too long, all users are meant. */
const MOST_NAMED = 100;

/**
 * Users whose tokens would be too long, the first {@link MOST_NAMED}; not those of clients, whose openings are refused each. They were added before that was refused, or ISSUER or AUDIENCE were shorter.
 */
export async function findUsersBeyondTokens(
  database: Database,
  rules: Pick<TokenRules, 'issuer' | 'audience'>,
): Promise<{ id: string; username: string }[]> {
  const rows = await database.query({ id: 'uuid', username: 'text', scope: 'text' })`
    SELECT id, username, scope FROM users
    WHERE client_id IS NULL AND 2 * octet_length(username) + octet_length(scope) > ${bytesThatFit(rules)}::int4
    ORDER BY username
    LIMIT ${MOST_NAMED}::int4`;
  return rows.filter((user) => !fitsIntoTokens(user, rules));
}

/**
 * Disables a user and ends every session; the user's later logins fail like any wrong password.
 *
 * @returns false when there is no such user; a user who is disabled already counts as done
 */
export async function disableUser(database: Database, whom: Whom, by: string = GATEHOUSE): Promise<boolean> {
  const ending = { reason: 'user_disabled', actor: by } as const;
  return await changeAndEndAll(database, whom, { isDisabling: true, passwordHash: null }, ending);
}

const USER_ENABLED = eventOf({
  from: sql`changed JOIN found USING (id)`,
  where: sql`NOT found.was_enabled`,
  userId: sql`changed.id`,
});
const USER_CHANGED = eventOf({
  from: sql`changed JOIN found USING (id)`,
  where: sql`told.type <> 'user.disabled' OR found.was_enabled`,
  userId: sql`changed.id`,
});

/** Lets a disabled user log in again; sessions that the disabling ended stay ended. */
export async function enableUser(database: Database, whom: Whom, by: string = GATEHOUSE): Promise<boolean> {
  const { name, id } = nameOrId(whom);
  // Settles two who enable at once: the second waits for the row, and finds nothing to tell.
  const rows = await database.query({ id: 'uuid' })`
    WITH found AS MATERIALIZED (
      SELECT id, ${USER_IS_ENABLED} AS was_enabled, clock_timestamp() AS now FROM users
      WHERE (username = ${name}::text OR id = ${id}::uuid) AND NOT ${IS_DELETED} FOR NO KEY UPDATE
    ), changed AS (
      UPDATE users SET disabled_at = NULL FROM found WHERE users.id = found.id RETURNING users.id
    )${recorded(database, USER_ENABLED, { type: 'user.enabled', actor: by }, undefined)}
    SELECT id FROM changed`;
  return rows.length > 0;
}

/** Sets a new password, ends every session that an old one opened, and unlocks the account; false when there is no such user. */
export async function changePassword(
  database: Database,
  username: string,
  passwordHash: string,
  by: string = GATEHOUSE,
): Promise<boolean> {
  const change = { isDisabling: false, passwordHash };
  const ending = { reason: 'password_changed', actor: by } as const;
  return await changeAndEndAll(database, username, change, ending);
}

const FORGOTTEN = forgetting(sql`EXISTS (SELECT FROM changed)`);

/** What a statement compares with the name and with the id of a row; null fits none. */
function nameOrId(whom: Whom): { name: string | null; id: string | null } {
  if (typeof whom === 'string') return { name: canonicalUsername(whom), id: null };
  return { name: null, id: whom.id };
}

async function changeAndEndAll(
  database: Database,
  whom: Whom,
  change: { isDisabling: boolean; passwordHash: string | null },
  { reason, actor }: Ending,
): Promise<boolean> {
  const facts = {
    type: change.isDisabling ? 'user.disabled' : 'password.changed',
    actor,
    reason,
  } as const;
  const { name, id } = nameOrId(whom);
  const { account, keys } = name === null || change.isDisabling ? NOTHING : locksOf(name);
  // Settles logins and refreshes in flight, with the old password for instance: they hold the epoch that this raises. Attempts at the old
  // password have taken their points before this, and with a new one they go, or take them afterwards, and they count. Of two who
  // disable at once, the second waits for the row, and finds nothing to tell.
  const rows = await database.query({ id: 'uuid' })`
    WITH asked AS MATERIALIZED (
      SELECT ${account}::text AS account, ${keys}::text[] AS keys
    ), found AS MATERIALIZED (
      SELECT id, ${USER_IS_ENABLED} AS was_enabled FROM users
      WHERE (username = ${name}::text OR id = ${id}::uuid) AND NOT ${IS_DELETED} FOR NO KEY UPDATE
    ), changed AS (
      UPDATE users SET
        epoch = epoch + 1,
        password_hash = coalesce(${change.passwordHash}::text, password_hash),
        disabled_at = CASE WHEN ${change.isDisabling}::boolean
          THEN coalesce(users.disabled_at, clock_timestamp()) ELSE users.disabled_at END
      FROM found WHERE users.id = found.id
      RETURNING users.id, epoch - 1 AS ended, clock_timestamp() AS now
    ), ${FORGOTTEN}, noted AS (
      INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', changed.id, ended, ${reason}, ${actor}, now,
             ${KEPT_UNTIL_ALL_ENDED}
      FROM changed
    )${recorded(database, USER_CHANGED, facts, undefined)}
    SELECT id FROM changed`;
  return rows.length > 0;
}
