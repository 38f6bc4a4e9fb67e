/** How often a password may be guessed: by account, by network, and by the two together, counted for all replicas. */
import { LRUCache } from 'lru-cache';

import type { Database } from '../../database/prisma.js';
import { refundPoints, takePoints, type Budget } from './attempts.js';
import { AuthError, Reason } from '../errors.js';
import { identifyGuess, type Guess } from './guesses.js';

/**
 * Wrong guesses within a window (seconds), after which every further attempt is refused until the window ends. A
 * window begins with its first guess, so one hour may touch two of them, or three when clocks of replicas are ten
 * minutes off either way: `account` and `familiarAccount` together allow 33, and so never more than 99 an hour.
 */
export const LOGIN_LIMITS = {
  /** One network at whatever accounts. An office behind one address needs room. */
  network: { points: 200, duration: 15 * 60 },
  /** One account, from all networks that its user never logged in from. */
  account: { points: 18, duration: 60 * 60 },
  /** As above, but from networks that the account's user logged in from: strangers nearby lock none of them out. */
  familiarNetwork: { points: 200, duration: 15 * 60 },
  /** As above: whatever strangers do, this is left to the user. */
  familiarAccount: { points: 15, duration: 60 * 60 },
  /** One network at one account, for longer and longer: less than either of `account`, so no network can spend it all. */
  pairHour: { points: 10, duration: 60 * 60 },
  pairTenMinutes: { points: 8, duration: 10 * 60 },
  pairMinute: { points: 5, duration: 60 },
} as const;

/** How long, and for how many, a replica repeats a refusal without asking again. */
const REFUSED_MS = 1000;
const REFUSED_MAX = 10_000;

/** An attempt that was taken. A wrong guess is spent: call neither for it. */
export interface Attempt {
  /** The password was right: refunds the attempt, and its network is familiar from now on. */
  succeed: () => Promise<void>;
  /** It is unknown whether the password was right: refunds the attempt. */
  refund: () => Promise<void>;
}

export interface Throttle {
  /**
   * Takes one attempt from each budget before anything is looked up or hashed, so that parallel guesses cannot slip
   * through, alike for names that exist and names that do not.
   *
   * @throws {AuthError} too_many_requests; nothing was taken then
   * @throws {DatabaseUnavailable}
   */
  takeAttempt: (typedUsername: string, ip: string) => Promise<Attempt>;
}

/**
 * Counts in the table `login_attempts`. Windows end by the replica's clock: this decides about guesses, not about
 * tokens. See docs/decisions/0013-limits-on-guessing.md.
 */
export function createThrottle(database: Database): Throttle {
  const refusals = new LRUCache<string, number>({ max: REFUSED_MAX });

  function refuse(guess: Guess, untilMs: number): AuthError {
    const waitMs = untilMs - Date.now();
    refusals.set(guess.pair, untilMs, { ttl: Math.max(1, Math.min(waitMs, REFUSED_MS)) });
    return tooMany(waitMs);
  }

  return {
    takeAttempt: async (typedUsername, ip) => {
      const guess = identifyGuess(typedUsername, ip);
      const refusedUntilMs = refusals.get(guess.pair);
      if (refusedUntilMs !== undefined) throw tooMany(refusedUntilMs - Date.now());
      const { taken, fullUntilMs } = await takePoints(database, budgetsOf(guess), guess);
      if (fullUntilMs !== null) {
        // Others were faster. What was taken is theirs to use, the point too much included.
        if (taken.length > 0) await refundPoints(database, taken);
        throw refuse(guess, fullUntilMs);
      }
      return {
        succeed: () => refundPoints(database, taken, guess),
        refund: () => refundPoints(database, taken),
      };
    },
  };
}

/**
 * Refunds the attempt when the work fails, but for a wrong guess. Work that we could not do says nothing about the password.
 *
 * @throws what the work does
 */
export async function refundUnlessWrong<Result>(
  attempt: Attempt,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AuthError && error.code === 'invalid_credentials')) await attempt.refund();
    throw error;
  }
}

function budgetsOf({ account, network, pair }: Guess): Budget[] {
  const budget = (name: keyof typeof LOGIN_LIMITS, hash: string, isForFamiliar: boolean | null) => {
    const { points, duration } = LOGIN_LIMITS[name];
    return { key: `${name}:${hash}`, points, durationMs: 1000 * duration, isForFamiliar };
  };
  return [
    budget('network', network, false),
    budget('account', account, false),
    budget('familiarNetwork', network, true),
    budget('familiarAccount', account, true),
    budget('pairHour', pair, null),
    budget('pairTenMinutes', pair, null),
    budget('pairMinute', pair, null),
  ];
}

const TOO_MANY_GUESSES = new Reason('too_many_guesses');

function tooMany(waitMs: number): AuthError {
  return new AuthError('too_many_requests', {
    cause: TOO_MANY_GUESSES,
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  });
}
