/** The key ring in memory: reads tokens that any living key signed, signs with the key of the time. */
import { createPublicKey } from 'node:crypto';

import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import { loadKeys, signingKey, type JwtAlgorithm, type StoredKey } from './keys.js';
import { unseal } from './sealing.js';
import { createReader, type ReadToken, type TokenCodec } from '../tokens/reader.js';
import type { AccessClaims, RefreshClaims, TokenRules } from '../tokens/claims.js';

export type CreateTokenCodec = (
  key: { kid: string; algorithm: JwtAlgorithm; publicKey: string; privateKey: string | null },
  typ: 'at+jwt' | 'rt+jwt',
) => Promise<TokenCodec>;

/** RFC 7517; besides these, what the key type brings (`crv`, `x`, `y`, `n`, `e`). */
export interface PublicJwk {
  [parameter: string]: unknown;
  kty: string;
  kid: string;
  alg: JwtAlgorithm;
  use: 'sig';
}

export interface KeyRing {
  version: string;
  /** Whether AUTH_SECRET opens every key that may sign; if not, this replica can read but not sign. */
  isReadable: boolean;
  /** Public keys, RFC 7517. */
  jwks: { keys: PublicJwk[] };
  read: (token: string) => ReadToken | null;
  /** Signs with the key of the claims' `iat`, so that equal claims are signed by the same key everywhere. */
  signAccess: (claims: AccessClaims) => string;
  signRefresh: (claims: RefreshClaims) => string;
}

interface RingKey {
  stored: StoredKey;
  access: TokenCodec;
  refresh: TokenCodec;
}

/**
 * Reads the keys of the database into a ring. A ring never changes: when the version does, a new one is loaded.
 *
 * @param secrets AUTH_SECRET, then AUTH_SECRET_PREVIOUS if there is one
 * @throws {DatabaseUnavailable}
 */
export async function loadRing(
  database: Database,
  secrets: readonly string[],
  rules: TokenRules,
  createCodec: CreateTokenCodec,
): Promise<KeyRing> {
  const { version, keys } = await loadKeys(database);
  const living = keys.filter((key) => key.retiredAt === null);
  let isReadable = true;
  const ringKeys = await Promise.all(
    living.map(async (stored): Promise<RingKey> => {
      const privateKey = unseal(stored.encryptedPrivateKey, secrets, stored.kid);
      isReadable &&= privateKey !== null;
      const key = { ...stored, privateKey };
      return { stored, access: await createCodec(key, 'at+jwt'), refresh: await createCodec(key, 'rt+jwt') };
    }),
  );
  return {
    version,
    isReadable,
    jwks: { keys: living.map(publicJwk) },
    read: createReader(ringKeys, rules),
    signAccess: (claims) => sign(signerAt(ringKeys, claims.iat).access, claims),
    signRefresh: (claims) => sign(signerAt(ringKeys, claims.iat).refresh, claims),
  };
}

function signerAt(keys: RingKey[], time: number): RingKey {
  const stored = signingKey(
    keys.map((key) => key.stored),
    time,
  );
  const key = keys.find((candidate) => candidate.stored === stored);
  if (key === undefined)
    throw new AuthError('temporarily_unavailable', { cause: new Reason('no signing key') });
  return key;
}

function sign(codec: TokenCodec, claims: object): string {
  try {
    return codec.sign(claims);
  } catch (cause) {
    throw new AuthError('temporarily_unavailable', { cause });
  }
}

function publicJwk({ kid, algorithm, publicKey }: StoredKey): PublicJwk {
  const { kty = '', ...parameters } = createPublicKey(publicKey).export({ format: 'jwk' });
  return { kty, ...parameters, kid, alg: algorithm, use: 'sig' };
}
