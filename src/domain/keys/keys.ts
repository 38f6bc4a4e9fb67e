/** Signing keys as the database has them, and which of them signs when. */
import type { Database } from '../../database/prisma.js';
import { firstRow } from '../service/service-row.js';
import { nullable } from '../../database/columns.js';

export const JWT_ALGORITHMS = ['EdDSA', 'ES256', 'RS256'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** How long others may keep our public keys before they ask again. */
export const JWKS_MAX_AGE_SECONDS = 300;

/** A key as it is stored; `signsAt`, `createdAt` and `retiredAt` in seconds since 1970. */
export interface StoredKey {
  kid: string;
  algorithm: JwtAlgorithm;
  publicKey: string;
  encryptedPrivateKey: Uint8Array;
  createdAt: number;
  signsAt: number;
  retiredAt: number | null;
}

const KEY_COLUMNS = {
  kid: 'text',
  algorithm: 'text',
  publicKey: 'text',
  encryptedPrivateKey: 'bytea',
  createdAt: 'float8',
  signsAt: 'float8',
} as const;

/** What `keys list` shows: a stored key without its private half. */
export type ListedKey = Omit<StoredKey, 'encryptedPrivateKey' | 'publicKey'> & {
  state: 'next' | 'signing' | 'verifying' | 'retired';
};

/** All keys, oldest first, with the version of the ring that they make up and the primary's clock. */
export async function loadKeys(
  database: Database,
): Promise<{ version: string; now: number; keys: StoredKey[] }> {
  // One statement, so that the version is that of these very keys.
  const rows = await database.query({
    version: 'uuid',
    now: 'float8',
    ...nullable(KEY_COLUMNS),
    retiredAt: 'float8?',
  })`
    SELECT service.keys_version AS version,
           extract(epoch FROM clock_timestamp())::float8 AS now,
           kid, algorithm, public_key AS "publicKey", encrypted_private_key AS "encryptedPrivateKey",
           extract(epoch FROM created_at)::float8 AS "createdAt",
           extract(epoch FROM signs_at)::float8 AS "signsAt",
           extract(epoch FROM retired_at)::float8 AS "retiredAt"
    FROM service LEFT JOIN signing_keys ON true
    ORDER BY signs_at, kid`;
  const first = firstRow(rows);
  return {
    version: first.version,
    now: first.now,
    keys: rows.filter((row): row is StoredKey & typeof row => row.kid !== null),
  };
}

/** Every key with what it does at the primary's time, oldest first. */
export async function listKeys(database: Database): Promise<ListedKey[]> {
  const { now, keys } = await loadKeys(database);
  const signing = signingKey(keys, now)?.kid;
  return keys.map(({ kid, algorithm, createdAt, signsAt, retiredAt }) => {
    const passive = signsAt > now ? 'next' : 'verifying';
    const active = kid === signing ? 'signing' : passive;
    return { kid, algorithm, createdAt, signsAt, retiredAt, state: retiredAt === null ? active : 'retired' };
  });
}

/** The key that signs what is issued at `time`: the newest of those whose time had come. */
export function signingKey<K extends Pick<StoredKey, 'signsAt' | 'retiredAt'>>(
  keys: readonly K[],
  time: number,
): K | undefined {
  const usable = keys.filter((key) => key.retiredAt === null);
  return usable.findLast((key) => key.signsAt <= time) ?? usable[0];
}
