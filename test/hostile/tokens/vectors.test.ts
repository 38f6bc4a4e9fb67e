// The signature layer against the vectors of its standards: it says of each what the authors say.
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto';
import { describe, expect, it } from 'vitest';

import { JWT_ALGORITHMS, type JwtAlgorithm } from '../../../src/domain/keys/keys.js';
import type { TokenCodec } from '../../../src/domain/tokens/reader.js';
import { createTokenCodec } from '../../../src/http/jwt.js';
import { ED25519_PRIVATE_KEY, JSON_VECTORS, VECTORS, type Vector } from '../vectors.js';

const DIGESTS = { RS256: 'sha256', ES256: 'sha256', ES512: 'sha512', EdDSA: null } as const;

function isOurs(algorithm: string): algorithm is JwtAlgorithm {
  return (JWT_ALGORITHMS as readonly string[]).includes(algorithm);
}

function pemOf({ key }: Vector): string {
  return createPublicKey({ key: key ?? {}, format: 'jwk' })
    .export({ type: 'spki', format: 'pem' })
    .toString();
}

function codecFor(vector: Vector): Promise<TokenCodec> {
  if (!isOurs(vector.algorithm)) throw new Error(`${vector.source} is not of an algorithm of ours`);
  const key = { kid: 'published', algorithm: vector.algorithm, publicKey: pemOf(vector), privateKey: null };
  return createTokenCodec(key, 'at+jwt');
}

/** The text as it was signed, and its signature. */
function split(token: string): { input: string; signature: Buffer } {
  const dot = token.lastIndexOf('.');
  return { input: token.slice(0, dot), signature: Buffer.from(token.slice(dot + 1), 'base64url') };
}

/** Whether the published signature holds, by Node's own cryptography. */
function holds({ algorithm, key, token }: Vector): boolean {
  const { input, signature } = split(token);
  if (algorithm === 'none') return signature.length === 0;
  if (algorithm === 'HS256') {
    const secret = Buffer.from(key?.k ?? '', 'base64url');
    return createHmac('sha256', secret).update(input).digest().equals(signature);
  }
  const publicKey = createPublicKey({ key: key ?? {}, format: 'jwk' });
  return verifyBytes(
    DIGESTS[algorithm],
    Buffer.from(input),
    { key: publicKey, dsaEncoding: 'ieee-p1363' },
    signature,
  );
}

/** The token with one bit changed: in each byte of its header, of its payload and of its signature in turn. */
function tampered(token: string): string[] {
  const segments = token.split('.');
  return segments.flatMap((segment, place) => {
    const bytes = Buffer.from(segment, 'base64url');
    return Array.from(bytes, (byte, at) => {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(byte ^ (1 << (at % 8)), at);
      return segments.with(place, changed.toString('base64url')).join('.');
    });
  });
}

/** A token that the vector's key has signed: its own where that is a JWT, for RFC 8037 the JWT of RFC 7515. */
function jwtOf({ algorithm, token }: Vector): string {
  if (algorithm !== 'EdDSA') return token;
  const input = `${token.split('.')[0] ?? ''}.${VECTORS[0]?.token.split('.')[1] ?? ''}`;
  return `${input}.${signWithPublished(input)}`;
}

/** With the private key that RFC 8037 publishes. */
function signWithPublished(input: string): string {
  const key = createPrivateKey({ key: ED25519_PRIVATE_KEY, format: 'jwk' });
  return signBytes(null, Buffer.from(input), key).toString('base64url');
}

const OURS = VECTORS.filter(({ algorithm }) => isOurs(algorithm));

it.each(VECTORS)('$source is written down as it was published', (vector) => {
  expect(holds(vector)).toBe(true);
});

it('RFC 8037 A.4 signs as it was published', () => {
  const { token = '' } = VECTORS.find(({ algorithm }) => algorithm === 'EdDSA') ?? {};
  const { input, signature } = split(token);
  expect(signWithPublished(input)).toBe(signature.toString('base64url'));
});

describe.each(OURS)('a codec with the public key of $source', (vector) => {
  it('verifies the JWT that its private half has signed', async () => {
    const codec = await codecFor(vector);
    expect(codec.verify(jwtOf(vector))).toEqual({
      iss: 'joe',
      exp: 1300819380,
      'http://example.com/is_root': true,
    });
  });

  it('believes nothing that was tampered with', async () => {
    const codec = await codecFor(vector);
    const texts = [vector.token, jwtOf(vector)].flatMap(tampered);
    expect(texts.length).toBeGreaterThan(200);
    expect(texts.filter((text) => codec.verify(text) !== null)).toEqual([]);
  });

  it('believes no other vector, in no serialization', async () => {
    const codec = await codecFor(vector);
    const others = VECTORS.filter((other) => other !== vector).map(({ token }) => token);
    const texts = [...others, ...JSON_VECTORS.map(({ text }) => text)];
    expect(texts.filter((text) => codec.verify(text) !== null)).toEqual([]);
  });
});
