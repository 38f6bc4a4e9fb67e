/** Codes that set a password, for who forgot it or never had one: made, tested, used once, and forgotten. */
import { hash, randomBytes } from 'node:crypto';

import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { AuthError } from '../errors.js';
import { eventOf, recorded } from '../events/recorded.js';
import { forgetting } from '../guessing/forgetting.js';
import { locksOf } from '../guessing/guesses.js';
import type { Trail } from '../reports/told.js';
import { firstRow } from '../service/service-row.js';
import { actorOfUser } from '../sessions/actors.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import { CODE_EPOCH_IS_IN_FORCE, EPOCH_TO_KEEP, IS_DELETED, USER_IS_ENABLED } from '../sessions/standing.js';

export const DEFAULT_CODE_SECONDS = 900;
export const MOST_CODE_SECONDS = 7 * 86_400;

/** Rows that one statement deletes at most. */
const BATCH = 1000;

/** RFC 4648 section 6, in small letters: no two of them look alike but `1`, which is not among them. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** 128 random bits in 26 characters, which a person can type. */
function makeCode(): string {
  let bits = BigInt(`0x${randomBytes(16).toString('hex')}`);
  let code = '';
  for (let place = 0; place < 26; place += 1) {
    code = ALPHABET.charAt(Number(bits & 31n)) + code;
    bits >>= 5n;
  }
  return code;
}

/** Nothing to guess, so nothing to slow down. */
function hashOf(code: string): Buffer {
  return hash('sha256', code, 'buffer');
}

/** The code in `codes` counts for the user in `users`. */
const COUNTS = sql`(codes.user_id = users.id AND ${CODE_EPOCH_IS_IN_FORCE} AND ${USER_IS_ENABLED} AND NOT ${IS_DELETED})`;

const CODE_ISSUED = eventOf({ from: sql`issued`, userId: sql`issued.user_id` });
const PASSWORD_SET = eventOf({ from: sql`changed`, userId: sql`changed.id` });

export interface Code {
  code: string;
  expiresInSeconds: number;
}

/**
 * Makes a code for a user, in the place of one that was made before.
 *
 * @param expiresIn seconds; undefined for {@link DEFAULT_CODE_SECONDS}
 * @param by the actor, as it stands in rows
 * @returns the code, which is shown this once
 * @throws {AuthError} not_found, user_disabled, invalid_request for a user of a client
 */
export async function issueCode(
  database: Database,
  userId: string,
  expiresIn: number | undefined,
  by: string,
  trail?: Trail,
): Promise<Code> {
  const code = makeCode();
  const expiresInSeconds = expiresIn ?? DEFAULT_CODE_SECONDS;
  // Settles a code against everything that voids codes: it waits for the user's row, and takes the epoch as it is by then. Of two codes at
  // once the later one counts.
  const rows = await database.query({ isThere: 'bool', isEnabled: 'bool', isOwn: 'bool' })`
    WITH owner AS MATERIALIZED (
      SELECT users.id, ${EPOCH_TO_KEEP} AS epoch, ${USER_IS_ENABLED} AS is_enabled, users.client_id IS NULL AS is_own FROM users, service
      WHERE users.id = ${userId}::uuid AND NOT ${IS_DELETED}
      FOR NO KEY UPDATE OF users
    ), issued AS (
      INSERT INTO password_codes (user_id, code_hash, epoch, expires_at)
      SELECT id, ${hashOf(code)}::bytea, epoch, clock_timestamp() + make_interval(secs => ${expiresInSeconds}::float8)
      FROM owner WHERE is_enabled AND is_own
      ON CONFLICT (user_id) DO UPDATE SET
        code_hash = excluded.code_hash, epoch = excluded.epoch, expires_at = excluded.expires_at
      RETURNING user_id, clock_timestamp() AS now
    )${recorded(database, CODE_ISSUED, { type: 'user.code_issued', actor: by, detail: { expires_in: expiresInSeconds } }, trail)}
    SELECT EXISTS (SELECT FROM owner) AS "isThere", EXISTS (SELECT FROM owner WHERE is_enabled) AS "isEnabled",
           EXISTS (SELECT FROM owner WHERE is_own) AS "isOwn"`;
  const { isThere, isEnabled, isOwn } = firstRow(rows);
  if (!isThere) throw new AuthError('not_found', { detail: 'There is no such user.' });
  if (!isOwn)
    throw new AuthError('invalid_request', {
      detail: 'This is a user of a client, and has no password here.',
    });
  if (!isEnabled) throw new AuthError('user_disabled');
  return { code, expiresInSeconds };
}

/** Whose code this is; null where it is wrong, was used or replaced, has expired, or does not count any more. */
export async function findCode(
  database: Database,
  code: string,
): Promise<{ id: string; username: string } | null> {
  const [user] = await database.query({ id: 'uuid', username: 'text' })`
    SELECT users.id, users.username FROM password_codes AS codes, users, service
    WHERE codes.code_hash = ${hashOf(code)}::bytea AND codes.expires_at > clock_timestamp() AND ${COUNTS}`;
  return user ?? null;
}

/** Until when the code that was made for a user counts, if nothing voids it; null for none. */
export async function findCodeExpiry(database: Database, userId: string): Promise<Date | null> {
  const [code] = await database.query({ expiresAt: 'timestamptz' })`
    SELECT codes.expires_at AS "expiresAt" FROM password_codes AS codes, users, service
    WHERE users.id = ${userId}::uuid AND codes.expires_at > clock_timestamp() AND ${COUNTS}`;
  return code?.expiresAt ?? null;
}

const FORGOTTEN = forgetting(sql`EXISTS (SELECT FROM changed)`);

/**
 * Sets a password by a code, which counts no more afterwards: ends every session of the user, and unlocks the account.
 *
 * @param user whose code was found, with the canonical name
 * @returns whether that was done; otherwise the code counts no more
 */
export async function useCode(
  database: Database,
  code: string,
  user: { id: string; username: string; passwordHash: string },
  trail?: Trail,
): Promise<boolean> {
  const { account, keys } = locksOf(user.username);
  const actor = actorOfUser(user.id);
  const facts = {
    type: 'password.changed',
    actor,
    reason: 'password_changed',
    detail: { by_code: true },
  } as const;
  // Settles two uses of one code: each changes the user's row, where the second finds the epoch raised. So does a use that meets another new
  // password, a disabling, an end of everything or a deletion. Logins and refreshes in flight hold the epoch that this raises.
  const rows = await database.query({ isDone: 'bool' })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), asked AS MATERIALIZED (
      SELECT ${account}::text AS account, ${keys}::text[] AS keys
    ), changed AS (
      UPDATE users SET password_hash = ${user.passwordHash}::text, epoch = users.epoch + 1
      FROM password_codes AS codes, service, clock
      WHERE codes.code_hash = ${hashOf(code)}::bytea AND codes.expires_at > now AND ${COUNTS}
      RETURNING users.id, users.epoch - 1 AS ended, now
    ), spent AS (
      DELETE FROM password_codes USING changed WHERE password_codes.user_id = changed.id
    ), ${FORGOTTEN}, noted AS (
      INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', changed.id, ended, 'password_changed', ${actor}, now, ${KEPT_UNTIL_ALL_ENDED}
      FROM changed
    )${recorded(database, PASSWORD_SET, facts, trail)}
    SELECT EXISTS (SELECT FROM changed) AS "isDone"`;
  return firstRow(rows).isDone;
}

/** Deletes codes that have expired, batch by batch; returns how many went. */
export async function pruneCodes(database: Database, signal?: AbortSignal): Promise<number> {
  for (let gone = 0; ;) {
    // Settles replicas that prune at once, and a code that is made or used: rows that somebody holds are passed by. The clock is read once, since
    // no index serves what may change from row to row. Rows are deleted by where they lie, as in sessions/revocations.ts.
    const rows = await database.query({ id: 'uuid' })`
      DELETE FROM password_codes WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM password_codes WHERE expires_at <= (SELECT clock_timestamp())
        ORDER BY expires_at LIMIT ${BATCH}::int4 FOR UPDATE SKIP LOCKED
      )) RETURNING user_id AS id`;
    gone += rows.length;
    if (rows.length < BATCH || signal?.aborted === true) return gone;
  }
}
