/** Hashes that other systems have made: which ones are taken, and what it costs to compare a password with one. */
import type { ForeignHash } from '../../background/foreign.js';

/** A hash that was read. */
export interface ReadHash {
  hash: ForeignHash;
  /** As it is stored. What begins with `$argon2` there was made here. */
  stored: string;
  /** How many times as long as one of ours it takes to compare a password with it, measured on one machine (docs/import.md). */
  weight: number;
}

/** Or why it is not taken, as the end of a sentence that begins with "the hash". It repeats nothing of the hash. */
export type Reading = ReadHash | { problem: string };

/** The most that is taken, in memory and in time: each is less than a second of a core (docs/import.md). */
const MAX_KIB = 128 * 1024;
const MAX_ARGON2_KIB = 8 * MAX_KIB;
const MAX_SCRYPT_KIB = 2 * MAX_KIB;
const MAX_ITERATIONS = 2_000_000;
const MIN_BCRYPT_COST = 4;
const MAX_BCRYPT_COST = 13;
const MAX_LANES = 16;
const MAX_SCRYPT_BLOCKS = 32;

/** What a process goes through in the time of one of our hashes, 10 ms on the machine where this was measured. Large memory is slower than ours. */
const ARGON2_KIB = 22_000;
const SCRYPT_KIB = 3100;
const ITERATIONS = 37_000;
const BCRYPT_ROUNDS = 114;

/** That libraries write: of other lengths a tag was cut. Each is too long to be met by chance. */
const ARGON2_TAG_BYTES = [16, 32, 64];
const SCRYPT_TAG_BYTES = [32, 64];
const MIN_SALT_BYTES = 8;
const DIGEST_BYTES = { sha1: 20, sha256: 32 } as const;

/** Longer than any that is taken. */
const MAX_CHARACTERS = 400;

const NUMBER = '(0|[1-9][0-9]{0,9})';
/** Django and Werkzeug write a salt as it is: printable, and without `$`. */
const TEXT = '([!-#%-~]{1,128})';
const BASE64 = '([A-Za-z0-9+/]{1,128}={0,2})';
const UNPADDED = '([A-Za-z0-9+/]{1,128})';
const BCRYPT64 = './A-Za-z0-9';

type Parts = Omit<ReadHash, 'stored'> | { problem: string };

/** By format: what it looks like, and how its parts are read. Django puts its name of an algorithm before a hash of others. */
const FORMATS: readonly (readonly [RegExp, (...parts: string[]) => Parts])[] = [
  [
    new RegExp(
      `^(?:argon2)?(\\$argon2(?:id|i|d)\\$v=19\\$m=${NUMBER},t=${NUMBER},p=${NUMBER}\\$${UNPADDED}\\$${UNPADDED})$`,
    ),
    readArgon2,
  ],
  [
    new RegExp(
      `^(bcrypt\\$|bcrypt_sha256\\$|)(\\$2[aby]\\$([0-9]{2})\\$[${BCRYPT64}]{22})([${BCRYPT64}]{31})$`,
    ),
    readBcrypt,
  ],
  [new RegExp(`^pbkdf2_(sha1|sha256)\\$${NUMBER}\\$${TEXT}\\$${BASE64}$`), readPbkdf2('base64')],
  [new RegExp(`^pbkdf2:(sha1|sha256):${NUMBER}\\$${TEXT}\\$([0-9a-f]{2,128})$`), readPbkdf2('hex')],
  [
    new RegExp(`^scrypt\\$${NUMBER}\\$${TEXT}\\$${NUMBER}\\$${NUMBER}\\$${BASE64}$`),
    (N = '', salt = '', r = '', p = '', tag = '') =>
      readScrypt([N, r, p], Buffer.from(salt), decode(tag, 'base64'), [64]),
  ],
  [
    new RegExp(`^scrypt:${NUMBER}:${NUMBER}:${NUMBER}\\$${TEXT}\\$([0-9a-f]{2,128})$`),
    (N = '', r = '', p = '', salt = '', tag = '') =>
      readScrypt([N, r, p], Buffer.from(salt), decode(tag, 'hex'), [64]),
  ],
  [
    new RegExp(`^\\$scrypt\\$ln=([1-9][0-9]?),r=${NUMBER},p=${NUMBER}\\$${UNPADDED}\\$${UNPADDED}$`),
    (ln = '', r = '', p = '', salt = '', tag = '') =>
      readScrypt([String(2 ** Number(ln)), r, p], decode(salt, 'phc'), decode(tag, 'phc'), SCRYPT_TAG_BYTES),
  ],
];

const UNKNOWN = 'is in no format that is taken, or is cut short';
const BROKEN = 'has a salt or a tag that is not of this format';

/** Reads a hash, with all bounds, before any work is done for it. */
export function readForeignHash(text: string): Reading {
  if (text.length > MAX_CHARACTERS) return refused(UNKNOWN);
  if (text.startsWith('!')) return refused('is how Django marks a user without a password');
  for (const [pattern, read] of FORMATS) {
    const parts = pattern.exec(text);
    if (parts === null) continue;
    const reading = read(...parts.slice(1));
    if ('problem' in reading) return reading;
    const { hash } = reading;
    // Django's spelling of argon2 tells it from ours.
    return { ...reading, stored: hash.kind === 'argon2' ? `argon2${hash.phc}` : text };
  }
  return refused(UNKNOWN);
}

/** Whether what is stored was made here. */
export function isOurs(stored: string): boolean {
  return stored.startsWith('$argon2');
}

function readArgon2(phc = '', memory = '', passes = '', lanes = '', salt = '', tag = ''): Parts {
  const [m, t, p] = [Number(memory), Number(passes), Number(lanes)];
  const [saltBytes = 0, tagBytes = 0] = [salt, tag].map((text) => decode(text, 'phc')?.length);
  if (saltBytes < MIN_SALT_BYTES || !ARGON2_TAG_BYTES.includes(tagBytes)) return refused(BROKEN);
  if (m > MAX_KIB) return refused(`takes more than ${MAX_KIB / 1024} MiB`);
  if (m * t > MAX_ARGON2_KIB) return refused(`takes more than ${MAX_ARGON2_KIB / 1024} MiB in all passes`);
  if (t < 1 || p < 1 || p > MAX_LANES || m < 8 * p)
    return refused('has parameters that argon2 does not take');
  return { hash: { kind: 'argon2', phc }, weight: (m * t) / ARGON2_KIB };
}

function readBcrypt(prefix = '', salt = '', cost = '', tag = ''): Parts {
  const exponent = Number(cost);
  if (exponent < MIN_BCRYPT_COST || exponent > MAX_BCRYPT_COST)
    return refused(`has a cost that is not ${MIN_BCRYPT_COST} to ${MAX_BCRYPT_COST}`);
  // 31 characters hold two bits more than 23 bytes. A tag with such a bit is nobody's.
  if (!/[.CGKOSWaeimquy26]$/.test(tag)) return refused(BROKEN);
  const hash = {
    kind: 'bcrypt',
    salt,
    tag: Buffer.from(tag),
    isOfDigest: prefix === 'bcrypt_sha256$',
  } as const;
  return { hash, weight: 2 ** exponent / BCRYPT_ROUNDS };
}

function readPbkdf2(encoding: 'base64' | 'hex') {
  return (digest = '', count = '', salt = '', text = ''): Parts => {
    const iterations = Number(count);
    const tag = decode(text, encoding);
    const name = digest as keyof typeof DIGEST_BYTES;
    if (tag?.length !== DIGEST_BYTES[name]) return refused(BROKEN);
    if (iterations < 1 || iterations > MAX_ITERATIONS)
      return refused(`has a number of iterations that is not 1 to ${MAX_ITERATIONS}`);
    const hash = { kind: 'pbkdf2', digest: name, iterations, salt: Buffer.from(salt), tag } as const;
    return { hash, weight: iterations / ITERATIONS };
  };
}

function readScrypt(
  parameters: string[],
  salt: Buffer | null,
  tag: Buffer | null,
  tagBytes: readonly number[],
): Parts {
  const [N = 0, r = 0, p = 0] = parameters.map(Number);
  if (salt === null || tag === null || !tagBytes.includes(tag.length)) return refused(BROKEN);
  const kib = (N * r) / 8;
  if (kib > MAX_KIB) return refused(`takes more than ${MAX_KIB / 1024} MiB`);
  if (kib * p > MAX_SCRYPT_KIB) return refused(`takes more than ${MAX_SCRYPT_KIB / 1024} MiB in all lanes`);
  // RFC 7914 section 2: N is a power of two, less than 2^(128 * r / 8).
  const isPower = N >= 2 && Number.isInteger(Math.log2(N)) && Math.log2(N) < 16 * r;
  if (!isPower || r > MAX_SCRYPT_BLOCKS || p < 1 || p > MAX_LANES)
    return refused('has parameters that scrypt does not take');
  return { hash: { kind: 'scrypt', N, r, p, salt, tag }, weight: (kib * p) / SCRYPT_KIB };
}

/** Null where an encoder would have spelled it in another way: with other spare bits, or other padding. */
function decode(text: string, encoding: 'base64' | 'phc' | 'hex'): Buffer | null {
  const bytes = Buffer.from(text, encoding === 'hex' ? 'hex' : 'base64');
  const again = encoding === 'hex' ? bytes.toString('hex') : bytes.toString('base64');
  return text === (encoding === 'phc' ? again.replace(/=+$/, '') : again) ? bytes : null;
}

function refused(problem: string): { problem: string } {
  return { problem };
}
