/** Ends what keys have signed: one key that leaked, or all of them where their secret is lost. Every session ends with them. */
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import { GATEHOUSE } from '../sessions/actors.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import { loadKeys, type JwtAlgorithm } from './keys.js';
import { makeKey, NO_KEYS } from './lifecycle.js';

/** The row that tells of the end of all sessions, where `raised` has raised the service's epoch. */
const EVERY_SESSION_ENDED = sql`INSERT INTO revocations (id, kind, user_id, epoch, reason, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', NULL, ended, reason, actor, now,
             ${KEPT_UNTIL_ALL_ENDED}
      FROM raised`;

const KEY_DIED = eventOf({ from: sql`made, raised` });

/**
 * For a leaked key: it dies, every session that was opened before ends, and a new key signs from now on. Every
 * replica learns of it with its next liveness statement, before it believes anything that the key has signed.
 *
 * @param by the actor, as it stands in rows
 * @returns the new key; null when there is no such key, or it was retired before
 */
export async function retireKey(
  database: Database,
  kid: string,
  algorithm: JwtAlgorithm,
  secret: string,
  by: string = GATEHOUSE,
  trail?: Trail,
): Promise<{ kid: string } | null> {
  const key = makeKey(algorithm, secret);
  const facts = { type: 'key.retired', actor: by, detail: { kid, next_kid: key.kid } } as const;
  // Settles a login in flight: it carries the service's epoch from when it read the password, which no longer
  // counts once this commits. The private half is destroyed: nothing may be signed with it again, here either.
  const rows = await database.query({ kid: 'text' })`
    WITH dead AS (
      UPDATE signing_keys SET retired_at = clock_timestamp(), encrypted_private_key = ''::bytea
      WHERE kid = ${kid} AND retired_at IS NULL
      RETURNING kid, retired_at AS now
    ), raised AS (
      UPDATE service SET epoch = epoch + 1, keys_version = gen_random_uuid()
      FROM dead
      RETURNING service.epoch - 1 AS ended, dead.now, 'key_retired' AS reason, ${by}::text AS actor
    ), noted AS (
      ${EVERY_SESSION_ENDED}
    ), made AS (
      INSERT INTO signing_keys (kid, algorithm, public_key, encrypted_private_key, created_at, signs_at)
      SELECT ${key.kid}, ${key.algorithm}, ${key.publicKey}, ${key.encryptedPrivateKey}, now, now
      FROM raised
      RETURNING kid
    )${recorded(database, KEY_DIED, facts, trail)}
    SELECT kid FROM made`;
  return rows[0] ?? null;
}

/**
 * For a lost secret, which nothing else can replace: all keys die, every session ends, and a new key signs from now on, sealed
 * with the secret of today.
 *
 * @param by the actor, as it stands in rows
 * @returns the new key, and how many have died; null when there has been no key yet
 */
export async function resetKeys(
  database: Database,
  algorithm: JwtAlgorithm,
  secret: string,
  by: string = GATEHOUSE,
): Promise<{ kid: string; retired: number } | null> {
  const { version } = await loadKeys(database);
  if (version === NO_KEYS) return null;
  const key = makeKey(algorithm, secret);
  const facts = { type: 'key.reset', actor: by, detail: { kid: key.kid } } as const;
  // Settles a login in flight as a retired key does, and a rotation at the same time: a key made since the version was read
  // would be sealed with the lost secret and live on, so nothing is done then, and all is tried anew.
  const [row] = await database.query({ kid: 'text', retired: 'int4' })`
    WITH raised AS (
      UPDATE service SET epoch = epoch + 1, keys_version = gen_random_uuid() WHERE keys_version = ${version}::uuid
      RETURNING epoch - 1 AS ended, clock_timestamp() AS now, 'keys_reset' AS reason, ${by}::text AS actor
    ), dead AS (
      UPDATE signing_keys SET retired_at = now, encrypted_private_key = ''::bytea
      FROM raised WHERE retired_at IS NULL
      RETURNING signing_keys.kid
    ), noted AS (
      ${EVERY_SESSION_ENDED}
    ), made AS (
      INSERT INTO signing_keys (kid, algorithm, public_key, encrypted_private_key, created_at, signs_at)
      SELECT ${key.kid}, ${key.algorithm}, ${key.publicKey}, ${key.encryptedPrivateKey}, now, now
      FROM raised
      RETURNING kid
    )${recorded(database, KEY_DIED, facts, undefined)}
    SELECT kid, (SELECT count(*) FROM dead)::int4 AS retired FROM made`;
  return row ?? (await resetKeys(database, algorithm, secret, by));
}
