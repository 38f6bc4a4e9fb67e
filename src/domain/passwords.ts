/** Hashing and verifying passwords, a bounded number of them at once. */

import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { hash, parseOptions, verify, type ParsedHashOptions } from '@node-rs/argon2';
import { AuthError, Reason } from './errors.js';

export interface Argon2Parameters {
  memoryKib: number;
  passes: number;
  lanes: number;
}

/** The first choice of the OWASP Password Storage Cheat Sheet for argon2id. */
export const CURRENT_PARAMETERS: Argon2Parameters = { memoryKib: 19_456, passes: 2, lanes: 1 };

/** In UTF-16 units: any spelling of any password that may be set is shorter. */
export const MAX_TYPED_UNITS = 8 * 256;

const SALT_BYTES = 16;
const TAG_BYTES = 32;

export interface HasherOptions {
  /** Hashes at once. Keep it below UV_THREADPOOL_SIZE (4 unless set): DNS and files share those threads. */
  maxConcurrent?: number;
  /** Callers that may wait for their turn; the next one is refused. */
  maxQueued?: number;
  /** How long one of them waits before it is refused. */
  maxWaitMs?: number;
  parameters?: Argon2Parameters;
}

export interface PasswordHasher {
  /** A new PHC string, of the current parameters and a random salt. */
  hash: (password: string) => Promise<string>;
  /** Whether the password is the one behind a stored PHC string, by that string's own parameters. */
  verify: (phc: string, password: string) => Promise<boolean>;
  /** Spends what a verify spends and answers no: for users who are unknown or disabled. */
  burn: (password: string) => Promise<false>;
  /** Whether a stored PHC string is weaker than what `hash` makes today. */
  needsRehash: (phc: string) => boolean;
  load: () => HashingLoad;
}

export interface HashingLoad {
  running: number;
  waiting: number;
}

/**
 * What is hashed for a typed password: the mappings of OpaqueString (RFC 8265 section 4.2), so that one password
 * typed on two keyboards is one password. Rejects nothing: at login, what could never have been set does not match.
 */
export function preparePassword(typed: string): string {
  // Composing takes time that grows with the square of a run of marks: 16 KiB of them would hold everybody else up.
  if (typed.length > MAX_TYPED_UNITS) return typed;
  // A lone surrogate would be encoded like U+FFFD, which a password may contain; a noncharacter matches nothing.
  return typed
    .replace(/\p{Zs}/gu, ' ')
    .replace(/\p{Cs}/gu, '\uFFFF')
    .normalize('NFC');
}

/**
 * Hashes with argon2id on libuv's threads. Every verb that hashes takes a place first, prepares its password itself,
 * and throws `temporarily_unavailable` when no place is to be had in time.
 */
export function createPasswordHasher({
  maxConcurrent = Math.min(3, availableParallelism()),
  maxQueued = 100,
  maxWaitMs = 2000,
  parameters = CURRENT_PARAMETERS,
}: HasherOptions = {}): PasswordHasher {
  const places = createPlaces({ maxConcurrent, maxQueued, maxWaitMs });
  const decoy = createDecoy(parameters);
  const options = {
    memoryCost: parameters.memoryKib,
    timeCost: parameters.passes,
    parallelism: parameters.lanes,
    outputLen: TAG_BYTES,
  };

  // The one path for stored hashes, broken ones and the decoy, so that no duration tells them apart. One difference
  // remains: a hash older than today's parameters costs what it cost then, until the user's next login rehashes it.
  function verifyAgainst(phc: string, password: string): Promise<boolean> {
    const readable = findParameters(phc) === null ? decoy : phc;
    return places.run(() => verify(readable, preparePassword(password)));
  }

  return {
    hash: (password) => places.run(() => hash(preparePassword(password), options)),
    verify: verifyAgainst,
    burn: async (password) => {
      await verifyAgainst(decoy, password);
      return false;
    },
    needsRehash: (phc) => isWeaker(phc, parameters),
    load: places.load,
  };
}

/**
 * A PHC string that no password matches: salt and tag are random, and no preimage of 256 random bits is known. Made
 * without hashing, so the first unknown user costs no more than the second.
 */
function createDecoy({ memoryKib, passes, lanes }: Argon2Parameters): string {
  const random = (size: number) => randomBytes(size).toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${random(SALT_BYTES)}$${random(TAG_BYTES)}`;
}

function isWeaker(phc: string, wanted: Argon2Parameters): boolean {
  const actual = findParameters(phc);
  if (actual === null || !phc.startsWith('$argon2id$v=19$')) return true;
  return (
    actual.memoryCost < wanted.memoryKib ||
    actual.timeCost < wanted.passes ||
    actual.parallelism < wanted.lanes ||
    actual.saltLen < SALT_BYTES ||
    actual.outputLen < TAG_BYTES
  );
}

function findParameters(phc: string): ParsedHashOptions | null {
  try {
    return parseOptions(phc);
  } catch {
    return null;
  }
}

/** A fixed number of places, first come, first served; a place is free again when its work is really done. */
function createPlaces({ maxConcurrent, maxQueued, maxWaitMs }: Required<Omit<HasherOptions, 'parameters'>>) {
  const waiting = new Set<() => void>();
  let running = 0;

  function enter(): Promise<void> {
    if (running < maxConcurrent) {
      running += 1;
      return Promise.resolve();
    }
    if (waiting.size >= maxQueued) return Promise.reject(busy('the queue for hashing is full'));
    return new Promise((resolve, reject) => {
      const giveUp = setTimeout(() => {
        waiting.delete(admit);
        reject(busy('no place for hashing came free in time'));
      }, maxWaitMs);
      function admit(): void {
        clearTimeout(giveUp);
        resolve();
      }
      waiting.add(admit);
    });
  }

  // The place is handed to the next in line without being counted free in between: a newcomer cannot overtake.
  function leave(): void {
    const [next] = waiting;
    if (next === undefined) {
      running -= 1;
      return;
    }
    waiting.delete(next);
    next();
  }

  async function run<Result>(work: () => Promise<Result>): Promise<Result> {
    await enter();
    try {
      return await work();
    } finally {
      leave();
    }
  }

  return { run, load: (): HashingLoad => ({ running, waiting: waiting.size }) };
}

function busy(why: string): AuthError {
  return new AuthError('temporarily_unavailable', { cause: new Reason(why), retryAfterSeconds: 1 });
}
