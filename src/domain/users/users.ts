/** Users as operators manage them: added, listed, disabled, enabled, and given a new password. */
import { v7 as uuidv7 } from 'uuid';

import type { Database } from '../../database/prisma.js';
import { GATEHOUSE } from '../sessions/actors.js';
import type { Ending } from '../sessions/endings.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import type { TokenRules } from '../tokens/claims.js';
import { bytesThatFit, fitsIntoTokens } from '../tokens/length.js';
import { canonicalUsername } from './usernames.js';

export interface User {
  id: string;
  username: string;
  scope: string;
}

export interface ListedUser extends User {
  createdAt: Date;
  disabledAt: Date | null;
}

/** Adds a user under a canonical name; null when the name is taken. */
export async function addUser(
  database: Database,
  user: { username: string; passwordHash: string; scope: string },
): Promise<User | null> {
  // Settles two additions of one name: the unique index lets one in.
  const rows = await database.query({ id: 'uuid', username: 'text', scope: 'text' })`
    INSERT INTO users (id, username, password_hash, scope, created_at)
    VALUES (${uuidv7()}::uuid, ${user.username}, ${user.passwordHash}, ${user.scope}, clock_timestamp())
    ON CONFLICT (username) DO NOTHING
    RETURNING id, username, scope`;
  return rows[0] ?? null;
}

/** So many are named at once: where ISSUER is too long, all users are meant. */
const MOST_NAMED = 100;

/** Users whose tokens would be too long, the first {@link MOST_NAMED}: they were added before that was refused, or ISSUER or AUDIENCE were shorter. */
export async function findUsersBeyondTokens(
  database: Database,
  rules: Pick<TokenRules, 'issuer' | 'audience'>,
): Promise<{ id: string; username: string }[]> {
  const rows = await database.query({ id: 'uuid', username: 'text', scope: 'text' })`
    SELECT id, username, scope FROM users
    WHERE 2 * octet_length(username) + octet_length(scope) > ${bytesThatFit(rules)}::int4
    ORDER BY username
    LIMIT ${MOST_NAMED}::int4`;
  return rows.filter((user) => !fitsIntoTokens(user, rules));
}

export async function findUser(database: Database, typedUsername: string): Promise<ListedUser | null> {
  // SQL, and not Prisma's client: one row by its name is not worth the loading of a compiler.
  const rows = await database.query({
    id: 'uuid',
    username: 'text',
    scope: 'text',
    createdAt: 'timestamptz',
    disabledAt: 'timestamptz?',
  })`
    SELECT id, username, scope, created_at AS "createdAt", disabled_at AS "disabledAt"
    FROM users WHERE username = ${canonicalUsername(typedUsername)}`;
  return rows[0] ?? null;
}

export async function listUsers(database: Database): Promise<ListedUser[]> {
  const select = { id: true, username: true, scope: true, createdAt: true, disabledAt: true } as const;
  return await database.read(({ user }) => user.findMany({ select, orderBy: { username: 'asc' } }));
}

/**
 * Disables a user and ends every session; the user's later logins fail like any wrong password.
 *
 * @param by the actor, as it stands in rows; here and below
 * @returns false when there is no such user; a user who is disabled already counts as done
 */
export async function disableUser(
  database: Database,
  username: string,
  by: string = GATEHOUSE,
): Promise<boolean> {
  const ending = { reason: 'user_disabled', actor: by } as const;
  return await changeAndEndAll(database, username, { isDisabling: true, passwordHash: null }, ending);
}

/** Lets a disabled user log in again; sessions that the disabling ended stay ended. */
export async function enableUser(database: Database, username: string): Promise<boolean> {
  const rows = await database.query({ id: 'uuid' })`
    UPDATE users SET disabled_at = NULL WHERE username = ${canonicalUsername(username)} RETURNING id`;
  return rows.length > 0;
}

/** Sets a new password and ends every session that an old one opened; false when there is no such user. */
export async function changePassword(
  database: Database,
  username: string,
  passwordHash: string,
  by: string = GATEHOUSE,
): Promise<boolean> {
  const ending = { reason: 'password_changed', actor: by } as const;
  return await changeAndEndAll(database, username, { isDisabling: false, passwordHash }, ending);
}

async function changeAndEndAll(
  database: Database,
  username: string,
  change: { isDisabling: boolean; passwordHash: string | null },
  { reason, actor }: Ending,
): Promise<boolean> {
  // Settles logins and refreshes in flight, with the old password for instance: they hold the epoch that this raises.
  const rows = await database.query({ id: 'uuid' })`
    WITH changed AS (
      UPDATE users SET
        epoch = epoch + 1,
        password_hash = coalesce(${change.passwordHash}::text, password_hash),
        disabled_at = CASE WHEN ${change.isDisabling}::boolean
          THEN coalesce(disabled_at, clock_timestamp()) ELSE disabled_at END
      WHERE username = ${canonicalUsername(username)}
      RETURNING id, epoch - 1 AS ended, clock_timestamp() AS now
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', changed.id, ended, ${reason}, ${actor}, now,
             ${KEPT_UNTIL_ALL_ENDED}
      FROM changed
    )
    SELECT id FROM changed`;
  return rows.length > 0;
}
