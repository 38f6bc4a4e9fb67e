/** What operators do with users: add them, and change their names, scopes, passwords, and whether they may log in. */
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';

import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { isUniqueViolation } from '../../database/unique-violation.js';
import { AuthError, Reason } from '../errors.js';
import { eventOf, recorded, type Facts } from '../events/recorded.js';
import { forgetting } from '../guessing/forgetting.js';
import { locksOf, NOTHING } from '../guessing/guesses.js';
import { told, type Trail } from '../reports/told.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import { IS_DELETED, USER_IS_ENABLED } from '../sessions/standing.js';
import type { TokenRules } from '../tokens/claims.js';
import { fitsIntoTokens } from '../tokens/length.js';
import { findUserById, type FoundUser } from '../users/found.js';
import { addUser } from '../users/users.js';

/**
 * Adds a user under a canonical name.
 *
 * @param by the actor, as it stands in rows; here and below
 * @throws {AuthError} username_taken, invalid_request when tokens of this name and scope would be too long
 */
export async function createUser(
  database: Database,
  user: { username: string; scope: string; passwordHash: string | null },
  by: string,
  rules: Pick<TokenRules, 'issuer' | 'audience'>,
  trail?: Trail,
): Promise<FoundUser> {
  assertFits(user, rules);
  const added = await addUser(database, user, by, trail);
  if (added === null) throw new AuthError('username_taken');
  return await findAgain(database, added.id);
}

/** What is to be changed; what is not there stays. */
export interface UserChange {
  /** Canonical. */
  username?: string | undefined;
  scope?: string | undefined;
  isDisabled?: boolean | undefined;
  passwordHash?: string | undefined;
}

const USER_CHANGED = eventOf({ from: sql`changed`, userId: sql`changed.id` });

/** One event, of the weightiest of the changes; it names all of them, and no value. */
function whatChanges(before: FoundUser, change: UserChange): Pick<Facts, 'type' | 'detail'> {
  const { username = before.username, scope = before.scope, passwordHash } = change;
  const isDisabled = change.isDisabled ?? before.disabledAt !== null;
  const changes = {
    disabled: isDisabled !== (before.disabledAt !== null),
    password: passwordHash !== undefined,
    username: username !== before.username,
    scope: scope !== before.scope,
  };
  const changed = Object.entries(changes).flatMap(([name, isOther]) => (isOther ? [name] : []));
  const detail = { changed };
  if (changes.disabled) return { type: isDisabled ? 'user.disabled' : 'user.enabled', detail };
  if (changes.password) return { type: 'password.changed', detail };
  return { type: changed.length === 0 ? null : 'user.changed', detail };
}

const FORGOTTEN = forgetting(sql`EXISTS (SELECT FROM changed)`);

/** Somebody else would have to change the same user this often meanwhile before we say that we cannot know. */
const MAX_ATTEMPTS = 5;

/**
 * Changes a user. Another name or scope ends the access tokens, not the sessions: the next refresh mints with what is true then.
 * Disabling and a new password end every session, and a new password unlocks the account.
 *
 * @throws {AuthError} not_found, username_taken, invalid_request when tokens of this name and scope would be too long
 */
export async function changeUser(
  database: Database,
  id: string,
  change: UserChange,
  actor: string,
  rules: Pick<TokenRules, 'issuer' | 'audience'>,
  trail?: Trail,
): Promise<FoundUser> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const before = await findUserById(database, id);
    if (before === null) throw new AuthError('not_found', { detail: 'There is no such user.' });
    if (before.clientId !== null) assertOnlyDisables(change);
    const username = change.username ?? before.username;
    const scope = change.scope ?? before.scope;
    const isSame = username === before.username && scope === before.scope;
    if (!isSame) assertFits({ username, scope }, rules);
    const { account, keys } = change.passwordHash === undefined ? NOTHING : locksOf(username);
    const isDisabling = change.isDisabled === true && before.disabledAt === null;
    const reason = isDisabling
      ? 'user_disabled'
      : change.passwordHash === undefined
        ? null
        : 'password_changed';
    // Settles two changes of one user: each is made to the name, scope and state that it has read, or not at all, and is tried again.
    // Settles two users who are given one name: the second finds it taken, or waits for the first at the unique index, and fails.
    // Settles refreshes and logins in flight: those of another name or scope carry the number of claims that this raises, and with
    // an end the epoch, too. Attempts at a password have taken their points before a new one is set, and they go, or take them
    // afterwards, and they count. A change of nothing writes as well, so that its commit waits for all that must confirm the first one.
    const rows = await database.query({ isTaken: 'bool', isChanged: 'bool' })`
        WITH clock AS MATERIALIZED (
          SELECT date_trunc('milliseconds', clock_timestamp()) AS now
        ), taken AS MATERIALIZED (
          SELECT EXISTS (SELECT FROM users WHERE username = ${username} AND id <> ${id}::uuid) AS by_other
        ), asked AS MATERIALIZED (
          SELECT ${account}::text AS account, ${keys}::text[] AS keys
        ), changed AS (
          UPDATE users SET
            username = ${username},
            scope = ${scope},
            ver = ver + ${isSame ? 0 : 1}::int8,
            epoch = epoch + ${reason === null ? 0 : 1}::int8,
            password_hash = coalesce(${change.passwordHash ?? null}::text, password_hash),
            disabled_at = CASE
              WHEN ${change.isDisabled === undefined}::boolean THEN disabled_at
              WHEN ${change.isDisabled === true}::boolean THEN coalesce(disabled_at, now) END
          FROM clock, taken
          WHERE id = ${id}::uuid AND username = ${before.username} AND scope = ${before.scope}
            AND ${USER_IS_ENABLED} = ${before.disabledAt === null}::boolean AND NOT ${IS_DELETED} AND NOT taken.by_other
          RETURNING users.id, users.epoch - 1 AS ended, now
        ), ${FORGOTTEN}, noted AS (
          INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
          SELECT gen_random_uuid(), 'user', changed.id, ended, ${reason}, ${actor}, now, ${KEPT_UNTIL_ALL_ENDED}
          FROM changed WHERE ${reason}::text IS NOT NULL
        )${recorded(database, USER_CHANGED, { ...whatChanges(before, change), actor, reason }, trail)}
        SELECT taken.by_other AS "isTaken", EXISTS (SELECT FROM changed) AS "isChanged" FROM taken`.catch(
      refuseTakenName,
    );
    const [row] = rows;
    if (row?.isTaken === true) throw new AuthError('username_taken');
    if (row?.isChanged === true) {
      if (reason !== null) told.end.tell({ ended: 'user', reason, actor }, trail);
      if (trail !== undefined) trail.user = id;
      return await findAgain(database, id);
    }
  }
  throw new AuthError('temporarily_unavailable', { cause: new Reason('the user keeps changing') });
}

/** The name went to somebody else in the same moment. */
function refuseTakenName(error: unknown): never {
  if (isUniqueViolation(error)) throw new AuthError('username_taken', { cause: error });
  throw error;
}

/** What else there is to change is said by the client, of each session. */
function assertOnlyDisables({ username, scope, passwordHash }: UserChange): void {
  if (username === undefined && scope === undefined && passwordHash === undefined) return;
  throw new AuthError('invalid_request', {
    detail: 'This is a user of a client: only `disabled` can be changed here.',
  });
}

function assertFits(
  user: { username: string; scope: string },
  rules: Pick<TokenRules, 'issuer' | 'audience'>,
): void {
  if (fitsIntoTokens(user, rules)) return;
  const detail = `Tokens of this user would be longer than ${MAX_TOKEN_CHARACTERS} characters: choose a shorter name or scope.`;
  throw new AuthError('invalid_request', { detail });
}

async function findAgain(database: Database, id: string): Promise<FoundUser> {
  const user = await findUserById(database, id);
  if (user === null) throw new AuthError('not_found', { detail: 'There is no such user any more.' });
  return user;
}
