/** A user's own change of password: proved by the current one, it ends all sessions but the one that asks. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import { networkOf } from '../guessing/networks.js';
import { refusePassword } from './policy.js';
import type { PasswordHasher } from './hasher.js';
import { sparing, type Throttle } from '../guessing/throttle.js';
import { parseJti, type AccessClaims } from '../tokens/claims.js';

export interface PasswordChanges {
  /**
   * @param claims of the live access token that asks
   * @param isAwaited whether nobody has been answered yet: afterwards nothing is changed
   * @throws {AuthError} too_many_requests, invalid_credentials (the current password is wrong), invalid_request (the new one
   * may not be set), invalid_token (the session has ended meanwhile), temporarily_unavailable
   * @throws {DatabaseUnavailable}
   */
  change: (
    claims: Asking,
    passwords: { current: string; next: string },
    ip: string,
    isAwaited: () => boolean,
  ) => Promise<void>;
}

type Asking = Pick<AccessClaims, 'sub' | 'sid' | 'jti' | 'username'>;

/** The hash would have to be replaced this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 3;

/** Shorter than anybody waits for the whole. */
const JUDGED_WITHIN_MS = 2000;

export function createPasswordChanges(options: {
  database: Database;
  hasher: PasswordHasher;
  throttle: Throttle;
}): PasswordChanges {
  const { database, hasher, throttle } = options;

  /** The stored hash, which the current password has been held against. */
  async function verifyCurrent({ sub }: Asking, current: string): Promise<string> {
    const [user] = await database.query<{ passwordHash: string }>`
      SELECT password_hash AS "passwordHash" FROM users WHERE id = ${sub}::uuid AND disabled_at IS NULL`;
    if (user === undefined) throw new AuthError('invalid_token');
    if (await hasher.verify(user.passwordHash, current)) return user.passwordHash;
    throw new AuthError('invalid_credentials', { detail: 'The current password is wrong.' });
  }

  async function refuseNext({ username }: Asking, next: string): Promise<void> {
    const problem = await refusePassword(next, { username, withinMs: JUDGED_WITHIN_MS });
    if (problem !== null)
      throw new AuthError('invalid_request', { issues: [{ path: 'body/new_password', message: problem }] });
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
      if (!(await isStanding(database, claims))) throw new AuthError('invalid_token');
      // Another change was first, or a login has hashed the same password anew: the stored hash tells.
      verified = await verifyCurrent(claims, current);
    }
    throw new AuthError('temporarily_unavailable', { cause: new Reason('the password keeps changing') });
  }

  return {
    change: async (claims, passwords, ip, isAwaited) => {
      const network = networkOf(ip);
      const { attempt, proved } = await hasher.admit(network, async () => {
        const taken = await throttle.takeAttempt(claims.username, ip);
        return { attempt: taken, proved: await sparing(taken, verifyCurrent(claims, passwords.current)) };
      });
      const change = async () => {
        // Judging takes many times as long as a hash, so nobody's seat is held meanwhile.
        await refuseNext(claims, passwords.next);
        await hasher.admit(network, () => replace(claims, passwords, { proved, isAwaited }));
      };
      await sparing(attempt, change());
      // It is done: what cannot be written down now must not deny it.
      await attempt.succeed().catch(() => undefined);
    },
  };
}

/** Who was told 503 may have logged in with the old password since, which a late change would end. */
function assertAwaited(isAwaited: () => boolean): void {
  if (!isAwaited())
    throw new AuthError('temporarily_unavailable', { cause: new Reason('a password took too long') });
}

/** @returns false when nothing was changed: the hash is another one by now, or the session that asks has ended */
async function setAndEndOthers(
  database: Database,
  { sub, sid, jti }: Asking,
  { verified, fresh }: { verified: string; fresh: string },
): Promise<boolean> {
  // Settles two changes at once (the second finds another hash than the one that it verified), logins and refreshes in
  // flight, which hold the epoch that this raises, and an end of the session that asks: both rows are locked, the user's
  // first as everywhere, and judged as they are by then, so nothing is changed for a session whose end was answered. It
  // takes the new epoch in the statement that raises it, and nobody sees it ended.
  const rows = await database.query`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), owner AS MATERIALIZED (
      SELECT id, epoch FROM users
      WHERE id = ${sub}::uuid AND disabled_at IS NULL AND password_hash = ${verified}
      FOR UPDATE
    ), asking AS MATERIALIZED (
      SELECT sessions.id, sessions.user_id
      FROM sessions JOIN owner ON sessions.user_id = owner.id, service, clock
      WHERE sessions.id = ${sid}::uuid AND sessions.ended_at IS NULL AND sessions.expires_at > now
        AND sessions.epoch = owner.epoch + service.epoch
        AND NOT EXISTS (
          SELECT FROM revocations WHERE revocations.id IN (sessions.id, ${parseJti(jti).lineage}::uuid)
        )
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
             )) + interval '6 minutes'
      FROM changed, clock
    )
    SELECT id FROM changed`;
  return rows.length > 0;
}

async function isStanding(database: Database, { sub, sid, jti }: Asking): Promise<boolean> {
  const rows = await database.query`
    SELECT sessions.id FROM service, sessions JOIN users ON users.id = sessions.user_id
    WHERE users.id = ${sub}::uuid AND users.disabled_at IS NULL
      AND sessions.id = ${sid}::uuid AND sessions.ended_at IS NULL AND sessions.expires_at > clock_timestamp()
      AND sessions.epoch = users.epoch + service.epoch
      AND NOT EXISTS (
        SELECT FROM revocations WHERE revocations.id IN (sessions.id, ${parseJti(jti).lineage}::uuid)
      )`;
  return rows.length > 0;
}
