/** The key ring in memory: reads tokens that any living key signed, signs with the key of the time. */
import { createPublicKey } from 'node:crypto';
import { LRUCache } from 'lru-cache';

import type { Database } from '../database/prisma.js';
import { AuthError, Reason } from './errors.js';
import { loadKeys, signingKey, type JwtAlgorithm, type StoredKey } from './keys.js';
import { unseal } from './sealing.js';
import {
  isAccessClaims,
  isRefreshClaims,
  type AccessClaims,
  type RefreshClaims,
  type TokenRules,
} from './tokens.js';

/** One key and one kind of token, as a JWT library handles it. */
export interface TokenCodec {
  /** First segment of every token that this codec signs: the only header that it reads, to the letter. */
  header: string;
  /** @throws when the key has no private half */
  sign: (claims: object) => string;
  /** The payload of a token whose signature holds; null otherwise. Judges neither claims nor time. */
  verify: (token: string) => unknown;
}

export type CreateTokenCodec = (
  key: { kid: string; algorithm: JwtAlgorithm; publicKey: string; privateKey: string | null },
  typ: 'at+jwt' | 'rt+jwt',
) => Promise<TokenCodec>;

/** A token of ours: its signature, type, issuer and audience hold. Whether it is alive is another question. */
export type ReadToken = {
  [K in keyof ClaimsOf]: Readonly<{ kind: K; claims: Readonly<ClaimsOf[K]> }>;
}[keyof ClaimsOf];

export interface ClaimsOf {
  access: AccessClaims;
  refresh: RefreshClaims;
}

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

/** Longer than any token we sign: names, scopes and audiences are bounded. */
const MAX_TOKEN_CHARACTERS = 8192;

/** Bounds of the memory of verified claims: tokens, and bytes as estimated (text, claims, overhead). */
const MAX_REMEMBERED_TOKENS = 20_000;
const MAX_REMEMBERED_BYTES = 48 * 1024 * 1024;

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

/**
 * The header of a token is compared as text with the few headers that we write: an unknown key, another algorithm
 * or type, `crit`, `jwk`, `jku` and whatever else a header can hold all end at one look-up in a map.
 */
function createReader(keys: RingKey[], rules: TokenRules): (token: string) => ReadToken | null {
  const codecs = new Map<string, { kind: keyof ClaimsOf; codec: TokenCodec }>();
  for (const { access, refresh } of keys) {
    codecs.set(access.header, { kind: 'access', codec: access });
    codecs.set(refresh.header, { kind: 'refresh', codec: refresh });
  }
  // Verified claims may be kept, a verdict may not. The key is the token's exact text, so no spelling of it can
  // borrow the result of another.
  const remembered = new LRUCache<string, ReadToken>({
    max: MAX_REMEMBERED_TOKENS,
    maxSize: MAX_REMEMBERED_BYTES,
    sizeCalculation: (_, text) => 2 * text.length + 512,
  });

  return (token) => {
    const known = remembered.get(token);
    if (known !== undefined) return known;
    if (token.length > MAX_TOKEN_CHARACTERS) return null;
    const found = codecs.get(token.slice(0, token.indexOf('.')));
    if (found === undefined) return null;
    const read = readWith(found.kind, found.codec, token, rules);
    if (read !== null) remembered.set(token, read);
    return read;
  };
}

function readWith(
  kind: ReadToken['kind'],
  codec: TokenCodec,
  token: string,
  rules: TokenRules,
): ReadToken | null {
  const payload = codec.verify(token);
  if (payload === null || !isCanonical(token, payload)) return null;
  if (kind === 'access') {
    return isAccessClaims(payload, rules) ? Object.freeze({ kind, claims: Object.freeze(payload) }) : null;
  }
  return isRefreshClaims(payload, rules) ? Object.freeze({ kind, claims: Object.freeze(payload) }) : null;
}

/**
 * Whether the text is the one spelling that we would have written: base64url has spare bits, JSON has duplicate
 * members and white space, UTF-8 has invalid bytes. One token, one text; only an ES256 signature (r, s) has a twin,
 * (r, n - s), so all the same nothing may hang on the text.
 */
function isCanonical(token: string, payload: unknown): boolean {
  const [, body, signature, ...rest] = token.split('.');
  if (body === undefined || signature === undefined || rest.length > 0) return false;
  return (
    Buffer.from(JSON.stringify(payload)).toString('base64url') === body &&
    Buffer.from(signature, 'base64url').toString('base64url') === signature
  );
}
