/** A user's own change of password: proved by the current one, it ends all sessions but the one that asks. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import { networkOf } from '../networks.js';
import { refusePassword } from './policy.js';
import type { PasswordHasher } from './hasher.js';
import { refundUnlessWrong, type Throttle } from '../guessing/throttle.js';
import { parseJti, type AccessClaims } from '../tokens/claims.js';
import { askedOf, isStanding, STANDS_WITH_TOKEN, USER_IS_ENABLED } from '../sessions/standing.js';
import { RETENTION } from '../tokens/grace.js';

/** Claims of the live access token that asks. */
type Asking = Pick<AccessClaims, 'sub' | 'sid' | 'jti' | 'username' | 'ver'>;

/** The hash would have to be replaced this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 3;

/** Shorter than anybody waits for the whole. */
const JUDGED_WITHIN_MS = 2000;

/** The verb that changes a password; the facade says what it promises. */
export function createPasswordChange(parts: {
  database: Database;
  hasher: PasswordHasher;
  throttle: Throttle;
}) {
  const { database, hasher, throttle } = parts;

  /** The stored hash, once the current password was compared with it. */
  async function verifyCurrent({ sub }: Asking, current: string): Promise<string> {
    const [user] = await database.query({ passwordHash: 'text' })`
      SELECT password_hash AS "passwordHash" FROM users WHERE id = ${sub}::uuid AND ${USER_IS_ENABLED}`;
    if (user === undefined) throw new AuthError('invalid_token');
    if (await hasher.verify(user.passwordHash, current)) return user.passwordHash;
    throw new AuthError('invalid_credentials', { detail: 'The current password is wrong.' });
  }

  async function replace(
    claims: Asking,
    { current, next }: { current: string; next: string },
    { proved, isAwaited }: { proved: string; isAwaited: () => boolean },
  ): Promise<void> {
    assertAwaited(isAwaited);
    const fresh = await hasher.hash(next);
    let verified = proved;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      assertAwaited(isAwaited);
      if (await setAndEndOthers(database, claims, { verified, fresh })) return;
      if (!(await isStanding(database, askedOf(claims)))) throw new AuthError('invalid_token');
      // Another change was first, or a login has hashed the same password anew: the stored hash tells.
      verified = await verifyCurrent(claims, current);
    }
    throw new AuthError('temporarily_unavailable', { cause: new Reason('the password keeps changing') });
  }

  return async (
    claims: Asking,
    passwords: { current: string; next: string },
    ip: string,
    isAwaited: () => boolean,
  ): Promise<string | null> => {
    const network = networkOf(ip);
    const { attempt, proved } = await hasher.admit(network, async () => {
      const taken = await throttle.takeAttempt(claims.username, ip);
      const hash = await refundUnlessWrong(taken, () => verifyCurrent(claims, passwords.current));
      return { attempt: taken, proved: hash };
    });
    const problem = await refundUnlessWrong(attempt, async () => {
      // Judging takes many times as long as a hash, so no permit is held meanwhile.
      const withinMs = JUDGED_WITHIN_MS;
      const found = await refusePassword(passwords.next, { username: claims.username, withinMs });
      if (found === null)
        await hasher.admit(network, () => replace(claims, passwords, { proved, isAwaited }));
      return found;
    });
    if (problem !== null) {
      await attempt.refund();
      return problem;
    }
    // It is done: what cannot be written down now must not deny it.
    await attempt.succeed().catch(() => undefined);
    return null;
  };
}

/** A user who was told that it failed may have logged in with the old password since, which a late change would end. */
function assertAwaited(isAwaited: () => boolean): void {
  if (!isAwaited())
    throw new AuthError('temporarily_unavailable', { cause: new Reason('a password took too long') });
}

/** @returns false when nothing was changed: the hash is another one by now, or the session that asks has ended */
async function setAndEndOthers(
  database: Database,
  { sub, sid, jti, ver = 0 }: Asking,
  { verified, fresh }: { verified: string; fresh: string },
): Promise<boolean> {
  // Settles two changes at once (the second finds another hash than the one that it verified), logins and refreshes in
  // flight, which hold the epoch that this raises, and an end of the session that asks: both rows are locked, the user's
  // first as everywhere, and judged as they are by then, so nothing is changed for a session whose end was answered. It
  // takes the new epoch in the statement that raises it, and nobody sees it ended.
  const rows = await database.query({ id: 'uuid' })`
    WITH asked AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now, ${parseJti(jti).lineage}::uuid AS lineage,
             ${ver}::int8 AS ver
    ), owner AS MATERIALIZED (
      SELECT id, epoch, ver, disabled_at FROM users
      WHERE id = ${sub}::uuid AND password_hash = ${verified}
      FOR UPDATE
    ), asking AS MATERIALIZED (
      SELECT sessions.id, sessions.user_id
      FROM asked, sessions, owner AS users, service
      WHERE sessions.id = ${sid}::uuid AND sessions.expires_at > now AND ${STANDS_WITH_TOKEN}
      FOR UPDATE OF sessions
    ), changed AS (
      UPDATE users SET password_hash = ${fresh}, epoch = users.epoch + 1
      FROM asking WHERE users.id = asking.user_id
      RETURNING users.id, users.epoch AS raised
    ), kept AS (
      UPDATE sessions SET epoch = sessions.epoch + 1 FROM changed WHERE sessions.id = ${sid}::uuid
    ), noted AS (
      INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', changed.id, changed.raised - 1, 'password_changed', 'user', now,
             greatest(now, (
               SELECT max(expires_at) FROM sessions WHERE sessions.user_id = changed.id
             )) + ${RETENTION}
      FROM changed, asked
    )
    SELECT id FROM changed`;
  return rows.length > 0;
}
