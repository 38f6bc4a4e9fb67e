/** Reads tokens: signature, spelling and claims; and remembers what was verified, but no verdict. */
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';
import { LRUCache } from 'lru-cache';

import { askedOf, askedOfRefresh, type Asked } from './asked.js';
import {
  isAccessClaims,
  isRefreshClaims,
  type AccessClaims,
  type RefreshClaims,
  type TokenRules,
} from './claims.js';

/** One key and one kind of token, as a JWT library handles it. */
export interface TokenCodec {
  /** First segment of every token that this codec signs: the only header that it reads, to the letter. */
  header: string;
  /** @throws when the key has no private half */
  sign: (claims: object) => string;
  /** The payload of a token whose signature holds; null otherwise. Judges neither claims nor time. */
  verify: (token: string) => unknown;
}

/** A token of ours: its signature, type, issuer and audience hold. Whether it is alive is another question. */
export type ReadToken = {
  [K in keyof ClaimsOf]: Readonly<{
    kind: K;
    claims: Readonly<ClaimsOf[K]>;
    /** The claims as callers are shown them, as JSON. */
    json: string;
    /** What the primary is asked about it. */
    question: Asked;
  }>;
}[keyof ClaimsOf];

export type AccessToken = Extract<ReadToken, { kind: 'access' }>;
export type RefreshToken = Extract<ReadToken, { kind: 'refresh' }>;

export interface ClaimsOf {
  access: AccessClaims;
  refresh: RefreshClaims;
}

/** Bounds of the memory of verified claims: tokens, and bytes as estimated (texts, claims, overhead). */
const MAX_REMEMBERED_TOKENS = 20_000;
const MAX_REMEMBERED_BYTES = 48 * 1024 * 1024;
const OVERHEAD_BYTES = 1024;

/** Of a signature, and so as good as random. */
const KEY_CHARACTERS = 48;

/**
 * The header of a token is compared as text with the few headers that we write: an unknown key, another algorithm
 * or type, `crit`, `jwk`, `jku` and whatever else a header can hold all end at one look-up in a map.
 */
export function createReader(
  keys: readonly { access: TokenCodec; refresh: TokenCodec }[],
  rules: TokenRules,
): (token: string) => ReadToken | null {
  const codecs = new Map<string, { kind: keyof ClaimsOf; codec: TokenCodec }>();
  for (const { access, refresh } of keys) {
    codecs.set(access.header, { kind: 'access', codec: access });
    codecs.set(refresh.header, { kind: 'refresh', codec: refresh });
  }
  // Verified claims may be kept, a verdict may not. They are found by the end of the signature, which is quickly hashed,
  // and taken for the same text alone, so no spelling of a token can borrow the result of another.
  const remembered = new LRUCache<string, { text: string; read: ReadToken }>({
    max: MAX_REMEMBERED_TOKENS,
    maxSize: MAX_REMEMBERED_BYTES,
    sizeCalculation: ({ text, read }) => text.length + read.json.length + OVERHEAD_BYTES,
  });

  return (text) => {
    const known = remembered.get(text.slice(-KEY_CHARACTERS));
    if (known?.text === text) return known.read;
    if (text.length > MAX_TOKEN_CHARACTERS) return null;
    const found = codecs.get(text.slice(0, text.indexOf('.')));
    if (found === undefined) return null;
    const read = readWith(found.kind, found.codec, text, rules);
    if (read !== null) {
      // A copy: as a slice it would keep the whole header or body that it was cut out of. A token of ours is ASCII.
      const own = Buffer.from(text, 'latin1').toString('latin1');
      remembered.set(own.slice(-KEY_CHARACTERS), { text: own, read });
    }
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
  if (payload === null) return null;
  const json = JSON.stringify(payload);
  if (!isCanonical(token, json)) return null;
  if (kind === 'access') {
    if (!isAccessClaims(payload, rules)) return null;
    const shown = payload.ver === undefined ? json : JSON.stringify(withoutVersion(payload));
    return Object.freeze({
      kind,
      claims: Object.freeze(payload),
      json: shown,
      question: askedOf(payload),
    });
  }
  if (!isRefreshClaims(payload, rules)) return null;
  return Object.freeze({ kind, claims: Object.freeze(payload), json, question: askedOfRefresh(payload) });
}

/** What is shown to callers: the version of claims is between the tokens and the rows. */
export function withoutVersion({ ver: _, ...shown }: AccessClaims): Omit<AccessClaims, 'ver'> {
  return shown;
}

/**
 * Whether the text is the one spelling that we would have written: base64url has spare bits, JSON has duplicate
 * members and white space, UTF-8 has invalid bytes. One token, one text; only an ES256 signature (r, s) has a twin,
 * (r, n - s), so all the same nothing may hang on the text.
 */
function isCanonical(token: string, json: string): boolean {
  const [, body, signature, ...rest] = token.split('.');
  if (body === undefined || signature === undefined || rest.length > 0) return false;
  return (
    Buffer.from(json).toString('base64url') === body &&
    Buffer.from(signature, 'base64url').toString('base64url') === signature
  );
}
