/** Users: who they are, what proves it, and how all that they have open is ended. */
import { v7 as uuidv7 } from 'uuid';

import type { Database } from '../../database/prisma.js';
import type { Ending } from '../sessions/endings.js';
import { AuthError } from '../errors.js';
import type { PasswordHasher } from '../passwords/hasher.js';
import { canonicalUsername } from '../usernames.js';

export interface User {
  id: string;
  username: string;
  scope: string;
}

export interface ListedUser extends User {
  createdAt: Date;
  disabledAt: Date | null;
}

/** Nobody bears this name: it is not canonical. It is looked up for names that cannot exist, to take the same time. */
const NOBODY = ' ';

/**
 * Finds the user whose name and password these are, with the epoch under which the password was right.
 *
 * @throws {AuthError} invalid_credentials: one answer, and one duration, for every kind of wrong
 * @throws {AuthError} temporarily_unavailable: no room to hash
 */
export async function authenticate(
  database: Database,
  hasher: PasswordHasher,
  typedUsername: string,
  password: string,
): Promise<{ id: string; epoch: number }> {
  const [user] = await database.prepared('find_user')<{
    id: string;
    passwordHash: string;
    epoch: number;
    isEnabled: boolean;
  }>`
    SELECT users.id, password_hash AS "passwordHash", users.epoch + service.epoch AS epoch,
           disabled_at IS NULL AS "isEnabled"
    FROM users, service
    WHERE username = ${canonicalUsername(typedUsername) ?? NOBODY}`;
  if (user === undefined || !user.isEnabled) {
    await hasher.burn(password);
    throw new AuthError('invalid_credentials');
  }
  if (!(await hasher.verify(user.passwordHash, password))) throw new AuthError('invalid_credentials');
  // The password was right: that there is no room to hash it anew, or no database, must not turn it away.
  if (hasher.needsRehash(user.passwordHash))
    await rehash(database, hasher, user, password).catch(() => undefined);
  return { id: user.id, epoch: user.epoch };
}

async function rehash(
  database: Database,
  hasher: PasswordHasher,
  user: { id: string; passwordHash: string },
  password: string,
): Promise<void> {
  const fresh = await hasher.hash(password);
  // Settles a new password that was set since: only the hash that was verified is replaced.
  await database.query`
    UPDATE users SET password_hash = ${fresh}
    WHERE id = ${user.id}::uuid AND password_hash = ${user.passwordHash}`;
}

/** Adds a user under a canonical name; null when the name is taken. */
export async function addUser(
  database: Database,
  user: { username: string; passwordHash: string; scope: string },
): Promise<User | null> {
  // Settles two additions of one name: the unique index lets one in.
  const rows = await database.query<User>`
    INSERT INTO users (id, username, password_hash, scope, created_at)
    VALUES (${uuidv7()}::uuid, ${user.username}, ${user.passwordHash}, ${user.scope}, clock_timestamp())
    ON CONFLICT (username) DO NOTHING
    RETURNING id, username, scope`;
  return rows[0] ?? null;
}

export async function findUser(database: Database, username: string): Promise<ListedUser | null> {
  const rows = await database.query<ListedUser>`
    SELECT id, username, scope, created_at AS "createdAt", disabled_at AS "disabledAt"
    FROM users WHERE username = ${canonicalUsername(username) ?? NOBODY}`;
  return rows[0] ?? null;
}

export async function listUsers(database: Database): Promise<ListedUser[]> {
  return await database.query`
    SELECT id, username, scope, created_at AS "createdAt", disabled_at AS "disabledAt" FROM users ORDER BY username`;
}

/**
 * Disables a user and ends every session; the user's later logins fail like any wrong password.
 *
 * @returns false when there is no such user; a user who is disabled already counts as done
 */
export async function disableUser(database: Database, username: string): Promise<boolean> {
  return await changeAndEndAll(
    database,
    username,
    { isDisabling: true, passwordHash: null },
    'user_disabled',
  );
}

/** Lets a disabled user log in again; sessions that the disabling ended stay ended. */
export async function enableUser(database: Database, username: string): Promise<boolean> {
  const rows = await database.query`
    UPDATE users SET disabled_at = NULL WHERE username = ${canonicalUsername(username) ?? NOBODY} RETURNING id`;
  return rows.length > 0;
}

/** Sets a new password and ends every session that an old one opened; false when there is no such user. */
export async function changePassword(
  database: Database,
  username: string,
  passwordHash: string,
): Promise<boolean> {
  return await changeAndEndAll(database, username, { isDisabling: false, passwordHash }, 'password_changed');
}

async function changeAndEndAll(
  database: Database,
  username: string,
  change: { isDisabling: boolean; passwordHash: string | null },
  reason: Ending['reason'],
): Promise<boolean> {
  // Settles logins and refreshes in flight, with the old password for instance: they hold the epoch that this raises.
  const rows = await database.query`
    WITH changed AS (
      UPDATE users SET
        epoch = epoch + 1,
        password_hash = coalesce(${change.passwordHash}::text, password_hash),
        disabled_at = CASE WHEN ${change.isDisabling}::boolean
          THEN coalesce(disabled_at, clock_timestamp()) ELSE disabled_at END
      WHERE username = ${canonicalUsername(username) ?? NOBODY}
      RETURNING id, epoch - 1 AS ended, clock_timestamp() AS now
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', changed.id, ended, ${reason}, 'operator', now,
             greatest(now, (SELECT max(expires_at) FROM sessions WHERE user_id = changed.id)) + interval '6 minutes'
      FROM changed
    )
    SELECT id FROM changed`;
  return rows.length > 0;
}
