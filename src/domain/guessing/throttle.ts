/** How often a password may be guessed: by account, by network, and by the two together, counted for all replicas. */
import { LRUCache } from 'lru-cache';

import type { Database } from '../../database/prisma.js';
import { refundPoints, takePoints, type Budget, type Full, type Taken } from './attempts.js';
import { forgetAttempts, type Unlocking } from './forgetting.js';
import { AuthError, LimitReached, tooManyRequests } from '../errors.js';
import type { Trail } from '../reports/told.js';
import { canonicalUsername } from '../users/usernames.js';
import { identifyGuess, locksOf, type Guess } from './guesses.js';

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
   * @param trail where the user who is locked out is noted, if there is one of that name
   * @throws {AuthError} too_many_requests; nothing was taken then
   * @throws {DatabaseUnavailable}
   */
  takeAttempt: (typedUsername: string, ip: string, trail?: Trail) => Promise<Attempt>;
  /**
   * Takes one attempt of a network alone, where no name is typed: beside those of its wrong logins.
   *
   * @throws {AuthError} too_many_requests; nothing was taken then
   * @throws {DatabaseUnavailable}
   */
  takeOfNetwork: (ip: string, trail?: Trail) => Promise<Pick<Attempt, 'refund'>>;
  /**
   * Lets the next attempt at this account's password in, from whichever network. Another replica may repeat a refusal for a second.
   *
   * @param username canonical
   */
  unlock: (username: string, unlocking: Unlocking) => Promise<void>;
  /** Asks about each network and account anew that was refused a moment ago: a new password has unlocked an account. */
  forgetRefusals: () => void;
}

/**
 * Counts in the table `login_attempts`. Windows end by the replica's clock: this decides about guesses, not about
 * tokens. See docs/decisions/0013-limits-on-guessing.md.
 */
export function createThrottle(database: Database): Throttle {
  const refusals = new LRUCache<string, Full>({ max: REFUSED_MAX });

  function refuse(full: Full, trail: Trail | undefined): AuthError {
    if (trail !== undefined && full.userId !== null) trail.user = full.userId;
    return tooManyRequests(WHY[nameOf(full)], (full.untilMs - Date.now()) / 1000);
  }

  /** Takes a point of each, or of none. */
  async function take(
    budgets: Budget[],
    by: Pick<Guess, 'slots' | 'fingerprint'>,
    username: string | null,
  ): Promise<{ taken: Taken[]; full: Full | null }> {
    const { taken, full } = await takePoints(database, budgets, by, username);
    // Others were faster. What was taken is theirs to use, the point too much included.
    if (full !== null && taken.length > 0) await refundPoints(database, taken);
    return { taken, full };
  }

  return {
    takeAttempt: async (typedUsername, ip, trail) => {
      const guess = identifyGuess(typedUsername, ip);
      const refusal = refusals.get(guess.pair);
      if (refusal !== undefined) throw refuse(refusal, trail);
      const username = canonicalUsername(typedUsername);
      const { taken, full } = await take(budgetsOf(guess), guess, username);
      if (full !== null) {
        const ttl = Math.max(1, Math.min(full.untilMs - Date.now(), REFUSED_MS));
        refusals.set(guess.pair, full, { ttl });
        throw refuse(full, trail);
      }
      return {
        succeed: () => refundPoints(database, taken, guess),
        refund: () => refundPoints(database, taken),
      };
    },

    takeOfNetwork: async (ip, trail) => {
      const { network } = identifyGuess('', ip);
      const budgets = [budgetOf('network', network, null)];
      const { taken, full } = await take(budgets, { slots: [], fingerprint: 0 }, null);
      if (full !== null) throw refuse(full, trail);
      return { refund: () => refundPoints(database, taken) };
    },

    unlock: async (username, unlocking) => {
      await forgetAttempts(database, locksOf(username), unlocking);
      // Which of them are this account's, nobody has noted: the others are asked about once more.
      refusals.clear();
    },

    forgetRefusals: () => refusals.clear(),
  };
}

/**
 * Refunds the attempt when the work fails, but for a wrong guess. Work that we could not do says nothing about the password.
 *
 * @throws what the work does
 */
export async function refundUnlessWrong<Result>(
  attempt: Pick<Attempt, 'refund'>,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AuthError && error.code === 'invalid_credentials')) await attempt.refund();
    throw error;
  }
}

type LimitName = keyof typeof LOGIN_LIMITS;

/** @param account where the hash of the key does not tell whose it is */
function budgetOf(
  name: LimitName,
  hash: string,
  isForFamiliar: boolean | null,
  account: string | null = null,
): Budget {
  const { points, duration } = LOGIN_LIMITS[name];
  return { key: `${name}:${hash}`, points, durationMs: 1000 * duration, isForFamiliar, account };
}

function budgetsOf({ account, network, pair }: Guess): Budget[] {
  return [
    budgetOf('network', network, false),
    budgetOf('account', account, false),
    budgetOf('familiarNetwork', network, true),
    budgetOf('familiarAccount', account, true),
    budgetOf('pairHour', pair, null, account),
    budgetOf('pairTenMinutes', pair, null, account),
    budgetOf('pairMinute', pair, null, account),
  ];
}

/** The limit that a row counts for. */
function nameOf({ key }: Full): LimitName {
  return key.slice(0, key.indexOf(':')) as LimitName;
}

const AT_USER = new LimitReached('too_many_guesses_at_user');
const BY_NETWORK = new LimitReached('too_many_guesses_by_network');
const BY_NETWORK_AT_USER = new LimitReached('too_many_guesses_by_network_at_user');

/** No caller is told: it would say where the account's user logs in from. */
const WHY: Record<LimitName, LimitReached> = {
  network: BY_NETWORK,
  familiarNetwork: BY_NETWORK,
  account: AT_USER,
  familiarAccount: AT_USER,
  pairHour: BY_NETWORK_AT_USER,
  pairTenMinutes: BY_NETWORK_AT_USER,
  pairMinute: BY_NETWORK_AT_USER,
};
