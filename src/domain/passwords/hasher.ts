/** Hashing and verifying passwords, a bounded number of them at once. */

import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseOptions, type ParsedHashOptions } from '@node-rs/argon2';

import { createArgon2, type Argon2 } from './argon2.js';
import {
  countPermits,
  createPermits,
  createSlots,
  createWeighedQueue,
  type HashingLoad,
} from './admission.js';
import { isOurs, readForeignHash } from './foreign.js';

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

/** Each takes a core, and some 60 MiB with the process that it runs in. */
const MOST_AT_ONCE = 3;

/** What a slow core gets through, until the first hashes have told. */
const ASSUMED_KIB_PER_MS = 2000;

export interface HasherOptions {
  /** Hashes at once, each in a process of its own. */
  maxConcurrent?: number;
  /** How long a caller waits for its turn at most. Of logins only so many are let in that a quarter of it should be enough. */
  maxWaitMs?: number;
  parameters?: Argon2Parameters;
  /** What hashes in the end: processes, unless something else is given. */
  argon2?: Argon2;
}

export interface PasswordHasher {
  /**
   * Does the work of a login that will verify one password, or refuses at once: before anything is asked, looked up or
   * counted, so that a storm costs others next to nothing, and a login that is let in also gets a slot.
   *
   * @param network whose login it is; none is let in that has taken more than it leaves to others, alone or with those of
   * its block
   * @throws {AuthError} temporarily_unavailable: too many are in already
   */
  admit: <Result>(network: string, work: () => Promise<Result>) => Promise<Result>;
  /** Refuses as `admit` would, and takes nothing: for those who can turn a login away before they have read it. */
  assertFree: (network: string) => void;
  /** A new PHC string, of the current parameters and a random salt. */
  hash: (password: string) => Promise<string>;
  /**
   * Whether the password is the one behind a stored hash: a PHC string, by its own parameters, or one that another system has made.
   * Those of others are verified one at a time, in a queue where each counts as long as it takes: they can take eighty times as
   * long as one of ours, and users whose hashes are ours never wait for them.
   */
  verify: (stored: string, password: string) => Promise<boolean>;
  /** Spends what a verify spends and answers no: for users who are unknown or disabled. */
  burn: (password: string) => Promise<false>;
  /** Whether a stored hash was made by another system, or is weaker than what `hash` makes today. */
  needsRehash: (stored: string) => boolean;
  load: () => HashingLoad;
  /** Lets go of what hashes; whatever is under way fails. */
  close: () => Promise<void>;
}

/**
 * Hashes at once for each of the processes that share the cores, of which one is left to event loops and PostgreSQL. At
 * least one, however few cores there are.
 */
export function defaultConcurrency(sharers = 1): number {
  return Math.max(1, Math.min(MOST_AT_ONCE, Math.floor((availableParallelism() - 1) / sharers)));
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
 * Hashes with argon2id. Every verb that hashes takes a slot first, prepares its password itself,
 * and throws `temporarily_unavailable` when no slot comes free in time.
 */
export function createPasswordHasher({
  maxConcurrent = defaultConcurrency(),
  maxWaitMs = 2000,
  parameters = CURRENT_PARAMETERS,
  argon2 = createArgon2((parameters.memoryKib * parameters.passes) / ASSUMED_KIB_PER_MS),
}: HasherOptions = {}): PasswordHasher {
  const slots = createSlots(maxConcurrent, maxWaitMs);
  const permits = createPermits(() => countPermits(maxConcurrent, maxWaitMs, argon2.hashMs()));
  // Half of the wait, since the password is hashed anew afterwards.
  const foreign = createWeighedQueue(maxWaitMs / 2);
  const decoy = createDecoy(parameters);
  const options = {
    memoryCost: parameters.memoryKib,
    timeCost: parameters.passes,
    parallelism: parameters.lanes,
    outputLen: TAG_BYTES,
  };

  // The one path for stored hashes of ours, broken ones and the decoy, so that no duration tells them apart. Two differences
  // remain, until the user's next login rehashes it: a hash older than today's parameters costs what it cost then, and one that
  // another system has made costs what it costs there.
  function verifyAgainst(stored: string, password: string): Promise<boolean> {
    if (!isOurs(stored)) {
      const read = readForeignHash(stored);
      if ('hash' in read) {
        const expectedMs = read.weight * argon2.hashMs();
        return foreign.run(expectedMs, () => argon2.verifyForeign(read.hash, password, expectedMs));
      }
    }
    const readable = findParameters(stored) === null ? decoy : stored;
    return slots.run(() => argon2.verify(readable, preparePassword(password)));
  }

  return {
    admit: permits.admit,
    assertFree: permits.assertFree,
    hash: (password) => slots.run(() => argon2.hash(preparePassword(password), options)),
    verify: verifyAgainst,
    burn: async (password) => {
      await verifyAgainst(decoy, password);
      return false;
    },
    needsRehash: (phc) => isWeaker(phc, parameters),
    load: () => {
      const [own, others] = [slots.load(), foreign.load()];
      return {
        running: own.running + others.running,
        waiting: own.waiting + others.waiting,
        admitted: permits.taken(),
        limit: permits.limit(),
      };
    },
    close: argon2.close,
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
