/** Users as operators are shown them: by name, by id, or all. Who was deleted is nowhere among them. */
import type { RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { findLocks } from '../guessing/locks.js';
import { IS_DELETED } from '../sessions/standing.js';
import { canonicalUsername } from './usernames.js';

export const USER_COLUMNS = {
  id: 'uuid',
  /** Of a client's user, one that nobody can type. */
  username: 'text',
  scope: 'text',
  clientId: 'text?',
  externalId: 'text?',
  disabledAt: 'timestamptz?',
  createdAt: 'timestamptz',
  hasPassword: 'bool',
} as const;

/** {@link USER_COLUMNS} of `users`. */
export const USER_SHOWN = sql`users.id, users.username, users.scope, users.client_id AS "clientId", users.external_id AS "externalId", users.disabled_at AS "disabledAt",
           users.created_at AS "createdAt", users.password_hash IS NOT NULL AS "hasPassword"`;

export interface FoundUser extends RowOf<typeof USER_COLUMNS> {
  /** When the next attempt at the password is let in for everybody; null while attempts are let in. */
  lockedUntil: Date | null;
}

/** Says of each whether the account is locked, as it is a moment later: attempts are counted elsewhere, and nothing is decided by this. */
export async function withLocks(
  database: Database,
  users: RowOf<typeof USER_COLUMNS>[],
): Promise<FoundUser[]> {
  const locks = await findLocks(
    database,
    users.map(({ username }) => username),
  );
  return users.map((user) => ({ ...user, lockedUntil: locks.get(user.username) ?? null }));
}

/** Which user is meant: by name, as it was typed, or by id. */
export type Whom = string | { id: string };

export async function findUser(database: Database, typedUsername: string): Promise<FoundUser | null> {
  const rows = await database.query(USER_COLUMNS)`
    SELECT ${USER_SHOWN} FROM users WHERE username = ${canonicalUsername(typedUsername)} AND NOT ${IS_DELETED}`;
  const [user] = await withLocks(database, rows);
  return user ?? null;
}

export async function findUserById(database: Database, id: string): Promise<FoundUser | null> {
  const rows = await database.query(USER_COLUMNS)`
    SELECT ${USER_SHOWN} FROM users WHERE users.id = ${id}::uuid AND NOT ${IS_DELETED}`;
  const [user] = await withLocks(database, rows);
  return user ?? null;
}

/** All of them, by name. */
export async function listUsers(database: Database): Promise<FoundUser[]> {
  // SQL, and not Prisma's client: that would have to read each hash to say whether there is one.
  const rows = await database.query(USER_COLUMNS)`
    SELECT ${USER_SHOWN} FROM users WHERE NOT ${IS_DELETED} ORDER BY users.username`;
  return await withLocks(database, rows);
}
