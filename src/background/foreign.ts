/** Passwords compared with hashes that other systems have made. */
import { createHash, pbkdf2Sync, scryptSync, timingSafeEqual } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as argon2 from '@node-rs/argon2';
import type * as bcrypt from 'bcryptjs';

/** A hash that was read, and whose cost is within bounds (src/domain/passwords/foreign.ts). */
export type ForeignHash =
  | { kind: 'argon2'; phc: string }
  /** `salt` is the text up to the salt's end, such as `$2b$12$…`; with `isOfDigest` the password was SHA-256 in hexadecimal. */
  | { kind: 'bcrypt'; salt: string; tag: Uint8Array; isOfDigest: boolean }
  | { kind: 'pbkdf2'; digest: 'sha1' | 'sha256'; iterations: number; salt: Uint8Array; tag: Uint8Array }
  | { kind: 'scrypt'; N: number; r: number; p: number; salt: Uint8Array; tag: Uint8Array };

/** Above what the largest scrypt takes, which was bounded when it was read: OpenSSL wants a limit. */
const SCRYPT_MAX_BYTES = 2 ** 28;

/** bcrypt's text has no other parts after the salt. */
const BCRYPT_SALT_CHARACTERS = '$2b$12$'.length + 22;

// By `require`, as in hasher.ts. Each is loaded by a process when it meets the first such hash.
const require = createRequire(import.meta.url);

/**
 * Whether the password is the one behind this hash. It is taken as typed, in UTF-8, as other systems do: what is prepared first
 * (RFC 8265) could be another one for them.
 *
 * An empty password matches nothing: systems that know users without a password keep its hash. Neither does one with NUL, where
 * bcrypt ends for some systems and goes on for others, so that `ab` and `ab\0ab` have one hash. Both take the time of any other.
 */
export function verifyForeign(hash: ForeignHash, password: string): boolean {
  const isEqual = compare(hash, password);
  return isEqual && password !== '' && !password.includes('\0') && password.isWellFormed();
}

function compare(hash: ForeignHash, password: string): boolean {
  if (hash.kind === 'argon2')
    return (require('@node-rs/argon2') as typeof argon2).verifySync(hash.phc, password);
  return timingSafeEqual(derive(hash, password), hash.tag);
}

/** As many bytes as the tag has. */
function derive(hash: Exclude<ForeignHash, { kind: 'argon2' }>, password: string): Uint8Array {
  if (hash.kind === 'bcrypt') {
    const { hashSync } = require('bcryptjs') as typeof bcrypt;
    // Of what is longer, bcrypt takes the first 72 bytes, and so did the system that has made the hash.
    const text = hash.isOfDigest ? createHash('sha256').update(password).digest('hex') : password;
    // The library writes salts with spare bits in another spelling: what follows the salt is what counts.
    return Buffer.from(hashSync(text, hash.salt).slice(BCRYPT_SALT_CHARACTERS));
  }
  const { salt, tag } = hash;
  if (hash.kind === 'pbkdf2') return pbkdf2Sync(password, salt, hash.iterations, tag.length, hash.digest);
  const { N, r, p } = hash;
  return scryptSync(password, salt, tag.length, { N, r, p, maxmem: SCRYPT_MAX_BYTES });
}
