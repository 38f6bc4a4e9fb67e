/** The life of a signing key: made, rotated, encrypted anew and forgotten, each in one SQL statement. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';

import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import { GATEHOUSE } from '../sessions/actors.js';
import { JWKS_MAX_AGE_SECONDS, loadKeys, type JwtAlgorithm, type StoredKey } from './keys.js';
import { PRUNE_LOCK } from '../sessions/revocations.js';
import { seal, unseal } from './sealing.js';
import { RETENTION } from '../tokens/grace.js';

/** What `service.keys_version` is until the first key is made. */
export const NO_KEYS = '00000000-0000-0000-0000-000000000000';

type NewKey = Pick<StoredKey, 'kid' | 'algorithm' | 'publicKey' | 'encryptedPrivateKey'>;

export function makeKey(algorithm: JwtAlgorithm, secret: string): NewKey {
  const kid = randomBytes(8).toString('hex');
  const { publicKey, privateKey } = makeKeyPair(algorithm);
  return { kid, algorithm, publicKey, encryptedPrivateKey: seal(privateKey, secret, kid) };
}

function makeKeyPair(algorithm: JwtAlgorithm): { publicKey: string; privateKey: string } {
  const publicKeyEncoding = { type: 'spki', format: 'pem' } as const;
  const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const;
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519', { publicKeyEncoding, privateKeyEncoding });
  if (algorithm === 'ES256') {
    return generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding, privateKeyEncoding });
  }
  return generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding, privateKeyEncoding });
}

const KEY_MADE = eventOf({ from: sql`made, turn` });
const KEYS_REENCRYPTED = eventOf({
  from: sql`turn, (SELECT count(*) AS keys FROM done) AS counted`,
  where: sql`counted.keys > 0`,
  detail: sql`jsonb_build_object('keys', counted.keys)`,
});

/** Makes the first key of an empty ring. Safe to call at every start of every replica. */
export async function createFirstKey(
  database: Database,
  algorithm: JwtAlgorithm,
  secret: string,
): Promise<void> {
  const { version } = await loadKeys(database);
  if (version !== NO_KEYS) return;
  const key = makeKey(algorithm, secret);
  // Settles several replicas that start at once: the update of the one row of `service` lets the first pass
  // and shows the others that the version has changed.
  const facts = { type: 'key.added', actor: GATEHOUSE, detail: { kid: key.kid } } as const;
  await database.query({ kid: 'text' })`
    WITH turn AS (
      UPDATE service SET keys_version = gen_random_uuid() WHERE keys_version = ${NO_KEYS}::uuid RETURNING clock_timestamp() AS now
    ), made AS (
      INSERT INTO signing_keys (kid, algorithm, public_key, encrypted_private_key, created_at, signs_at)
      SELECT ${key.kid}, ${key.algorithm}, ${key.publicKey}, ${key.encryptedPrivateKey}, now, now
      FROM turn
      RETURNING kid
    )${recorded(database, KEY_MADE, facts, undefined)}
    SELECT kid FROM made`;
}

/**
 * Publishes the next key two JWKS max-ages before it signs, so that every cache has it by then.
 *
 * @param by the actor, as it stands in rows; here and below
 * @returns the key and when it begins to sign; null when a next key is already waiting
 */
export async function rotateKeys(
  database: Database,
  algorithm: JwtAlgorithm,
  secret: string,
  by: string = GATEHOUSE,
  trail?: Trail,
): Promise<{ kid: string; signsAt: number } | null> {
  const { version, now, keys } = await loadKeys(database);
  if (keys.some((key) => key.signsAt > now && key.retiredAt === null)) return null;
  const key = makeKey(algorithm, secret);
  // Settles two rotations at once: only the one that finds the version it has read goes on.
  const facts = { type: 'key.rotated', actor: by, detail: { kid: key.kid } } as const;
  const [row] = await database.query({ signsAt: 'float8' })`
    WITH turn AS (
      UPDATE service SET keys_version = gen_random_uuid() WHERE keys_version = ${version}::uuid
      RETURNING clock_timestamp() AS now
    ), made AS (
      INSERT INTO signing_keys (kid, algorithm, public_key, encrypted_private_key, created_at, signs_at)
      SELECT ${key.kid}, ${key.algorithm}, ${key.publicKey}, ${key.encryptedPrivateKey},
             now, now + make_interval(secs => ${2 * JWKS_MAX_AGE_SECONDS}::float8)
      FROM turn
      RETURNING signs_at
    )${recorded(database, KEY_MADE, facts, trail)}
    SELECT extract(epoch FROM signs_at)::float8 AS "signsAt" FROM made`;
  return row
    ? { kid: key.kid, signsAt: row.signsAt }
    : await rotateKeys(database, algorithm, secret, by, trail);
}

/**
 * Which of the secrets to seal a new key with: the one that opens the newest living key. That one all replicas know, also
 * while the secret is being changed and only some of them know the new one. Null when none of them opens it.
 *
 * @param keys oldest first
 */
export function findSealingSecret(keys: readonly StoredKey[], secrets: readonly string[]): string | null {
  const newest = keys.findLast(({ retiredAt }) => retiredAt === null);
  if (newest === undefined) return null;
  const { encryptedPrivateKey, kid } = newest;
  return secrets.find((secret) => unseal(encryptedPrivateKey, [secret], kid) !== null) ?? null;
}

/**
 * Encrypts every private key under `secret`, opening them with `previous` or with `secret` itself.
 *
 * @returns how many keys were encrypted anew, or the kids that none of the secrets opens: then nothing changes
 */
export async function reencryptKeys(
  database: Database,
  secret: string,
  previous: string,
  by: string = GATEHOUSE,
): Promise<{ reencrypted: number } | { unreadable: string[] }> {
  const { version, keys } = await loadKeys(database);
  const living = keys.filter((key) => key.retiredAt === null);
  const unreadable: string[] = [];
  const sealed = living.map(({ kid, encryptedPrivateKey }) => {
    const plain = unseal(encryptedPrivateKey, [secret, previous], kid);
    if (plain === null) unreadable.push(kid);
    return plain === null ? '' : Buffer.from(seal(plain, secret, kid)).toString('hex');
  });
  if (unreadable.length > 0) return { unreadable };
  // Another version would tell every later start that the first key is made.
  if (living.length === 0) return { reencrypted: 0 };
  // Settles a rotation at the same time: a key made since it was read stays as it is, and so does all else.
  const rows = await database.query({ kid: 'text' })`
    WITH turn AS (
      UPDATE service SET keys_version = gen_random_uuid() WHERE keys_version = ${version}::uuid
      RETURNING clock_timestamp() AS now
    ), done AS (
      UPDATE signing_keys SET encrypted_private_key = decode(fresh.sealed, 'hex')
      FROM turn, unnest(${living.map(({ kid }) => kid)}::text[], ${sealed}::text[]) AS fresh (kid, sealed)
      WHERE signing_keys.kid = fresh.kid
      RETURNING signing_keys.kid
    )${recorded(database, KEYS_REENCRYPTED, { type: 'key.reencrypted', actor: by }, undefined)}
    SELECT kid FROM done`;
  if (rows.length === 0) return await reencryptKeys(database, secret, previous, by);
  return { reencrypted: rows.length };
}

/**
 * Forgets keys whose last token is dead: a younger key signs, and no session that was opened before that is left.
 *
 * @returns how many keys went
 */
export async function pruneKeys(database: Database): Promise<number> {
  // Session ids begin with the primary's time in milliseconds (UUIDv7), so the primary key finds the oldest. The
  // retention settles a login that began before the younger key signed and has not committed. A key is chosen by `iat`,
  // which is in whole seconds: what is issued in the rest of the second in which the younger begins, the older signs.
  // The version tells every replica to forget too.
  const rows = await database.query({ kid: 'text' })`
    WITH clock AS MATERIALIZED (
      SELECT clock_timestamp() AS now WHERE pg_try_advisory_xact_lock(${PRUNE_LOCK}::bigint)
    ), outlived AS (
      SELECT old.kid FROM signing_keys old, clock
      WHERE EXISTS (
        SELECT FROM signing_keys young
        WHERE young.signs_at > old.signs_at AND young.signs_at <= now - ${RETENTION}
          AND young.retired_at IS NULL
          AND NOT EXISTS (
            SELECT FROM sessions
            WHERE id < (lpad(to_hex((ceil(extract(epoch FROM young.signs_at)) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
          )
      )
    ), gone AS (
      DELETE FROM signing_keys USING outlived WHERE signing_keys.kid = outlived.kid RETURNING signing_keys.kid
    ), noted AS (
      UPDATE service SET keys_version = gen_random_uuid() WHERE EXISTS (SELECT FROM gone)
    )
    SELECT kid FROM gone`;
  return rows.length;
}
