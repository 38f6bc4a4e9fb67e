/** Whether a user name and a password are right: the proof that a login rests on. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import type { PasswordHasher } from '../passwords/hasher.js';
import type { Trail } from '../reports/told.js';
import { EPOCH_IN_FORCE, USER_IS_ENABLED } from '../sessions/standing.js';
import { canonicalUsername } from './usernames.js';

/** A user whose password was right, under this epoch: the sum of the user's and the service's, which only SQL reads. */
export interface Proved {
  id: string;
  epoch: string;
}

/** Why a login was refused, for the log alone. Made once: a stack of their own would tell nothing. */
const UNKNOWN_USER = new Reason('unknown_user');
const USER_DISABLED = new Reason('user_disabled');
const WRONG_PASSWORD = new Reason('wrong_password');
const NO_PASSWORD = new Reason('no_password');

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
  trail: Trail = {},
): Promise<Proved> {
  const [user] = await database.prepared('find_user', {
    id: 'uuid',
    passwordHash: 'text?',
    epoch: 'text',
    isEnabled: 'bool',
  })`
    SELECT users.id, password_hash AS "passwordHash", ${EPOCH_IN_FORCE} AS epoch, ${USER_IS_ENABLED} AS "isEnabled"
    FROM users, service
    WHERE username = ${canonicalUsername(typedUsername) ?? NOBODY}`;
  if (user !== undefined) trail.user = user.id;
  const { passwordHash = null } = user ?? {};
  if (user === undefined || !user.isEnabled || passwordHash === null) {
    await hasher.burn(password);
    throw refused(user === undefined ? UNKNOWN_USER : user.isEnabled ? NO_PASSWORD : USER_DISABLED);
  }
  if (!(await hasher.verify(passwordHash, password))) throw refused(WRONG_PASSWORD);
  // The password was right: that there is no room to hash it anew, or no database, must not turn it away.
  if (hasher.needsRehash(passwordHash))
    await rehash(database, hasher, { id: user.id, passwordHash }, password).catch(() => undefined);
  return { id: user.id, epoch: user.epoch };
}

function refused(cause: Reason): AuthError {
  return new AuthError('invalid_credentials', { cause });
}

async function rehash(
  database: Database,
  hasher: PasswordHasher,
  user: { id: string; passwordHash: string },
  password: string,
): Promise<void> {
  const fresh = await hasher.hash(password);
  // Settles a new password that was set since: only the hash that was verified is replaced.
  await database.query({})`
    UPDATE users SET password_hash = ${fresh}
    WHERE id = ${user.id}::uuid AND password_hash = ${user.passwordHash}`;
}
