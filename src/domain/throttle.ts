/** How often a password may be guessed: by account, by network, and by the two together, counted for all replicas. */
import { LRUCache } from 'lru-cache';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';

import { DatabaseUnavailable, type Database } from '../database/prisma.js';
import { findCounts, giveBack, rememberNetwork, type Taken } from './attempts.js';
import { AuthError } from './errors.js';
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

type Budget = keyof typeof LOGIN_LIMITS;

/** In the order in which they are taken from: a network that has spent its own makes no further rows. */
const PAIR = ['pairHour', 'pairTenMinutes', 'pairMinute'] as const;
const STRANGERS: readonly Budget[] = ['network', 'account', ...PAIR];
const FAMILIAR: readonly Budget[] = ['familiarNetwork', 'familiarAccount', ...PAIR];
const BUDGETS: readonly Budget[] = [...new Set([...STRANGERS, ...FAMILIAR])];

/** How long, and for how many, a replica repeats a refusal without asking again. */
const REFUSED_MS = 1000;
const REFUSED_MAX = 10_000;

/** An attempt that was taken. Call neither for a wrong guess: that one is spent. */
export interface Attempt {
  /** The password was right: gives the attempt back, and its network is familiar from now on. */
  succeed: () => Promise<void>;
  /** It could not be told whether the password was right: gives the attempt back. */
  giveBack: () => Promise<void>;
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
  const limiters = createLimiters(database.pool);
  const refusals = new LRUCache<string, number>({ max: REFUSED_MAX });

  /** Reads first: most refusals then cost one look-up and write nothing. */
  async function chooseBudgets(guess: Guess): Promise<readonly Budget[]> {
    const keys = BUDGETS.map((budget) => rowKey(budget, guess));
    const counts = await findCounts(database, [...keys, ...guess.slots]);
    const isFamiliar = guess.slots.some((slot) => counts.get(slot)?.points === guess.fingerprint);
    const budgets = isFamiliar ? FAMILIAR : STRANGERS;
    const waits = budgets.map((budget) => {
      const count = counts.get(rowKey(budget, guess));
      return count !== undefined && count.points >= LOGIN_LIMITS[budget].points ? count.msLeft : 0;
    });
    if (Math.max(...waits) > 0) throw refuse(guess, Math.max(...waits));
    return budgets;
  }

  async function takeFrom(budgets: readonly Budget[], guess: Guess): Promise<Taken[]> {
    const taken: Taken[] = [];
    for (const budget of budgets) {
      const { msBeforeNext, isRefused } = await consume(limiters[budget], hashOf(budget, guess)).catch(
        async (error: unknown) => {
          await Promise.allSettled([giveBack(database, taken)]);
          throw error;
        },
      );
      taken.push({ key: rowKey(budget, guess), untilMs: Date.now() + msBeforeNext });
      if (!isRefused) continue;
      // Others were faster. What was taken is theirs to use, the point too much included.
      await giveBack(database, taken);
      throw refuse(guess, msBeforeNext);
    }
    return taken;
  }

  function refuse(guess: Guess, waitMs: number): AuthError {
    refusals.set(guess.pair, Date.now() + waitMs, { ttl: Math.max(1, Math.min(waitMs, REFUSED_MS)) });
    return tooMany(waitMs);
  }

  return {
    takeAttempt: async (typedUsername, ip) => {
      const guess = identifyGuess(typedUsername, ip);
      const refusedUntilMs = refusals.get(guess.pair);
      if (refusedUntilMs !== undefined) throw tooMany(refusedUntilMs - Date.now());
      const taken = await takeFrom(await chooseBudgets(guess), guess);
      return {
        succeed: async () => {
          await Promise.all([giveBack(database, taken), rememberNetwork(database, guess)]);
        },
        giveBack: () => giveBack(database, taken),
      };
    },
  };
}

function createLimiters(pool: Database['pool']): Record<Budget, RateLimiterPostgres> {
  const create = (budget: Budget) =>
    new RateLimiterPostgres({
      storeClient: pool,
      storeType: 'pool',
      tableName: 'login_attempts',
      tableCreated: true,
      clearExpiredByTimeout: false,
      keyPrefix: budget,
      ...LOGIN_LIMITS[budget],
    });
  return Object.fromEntries(BUDGETS.map((budget) => [budget, create(budget)])) as ReturnType<
    typeof createLimiters
  >;
}

function hashOf(budget: Budget, { account, network, pair }: Guess): string {
  if (budget === 'network' || budget === 'familiarNetwork') return network;
  if (budget === 'account' || budget === 'familiarAccount') return account;
  return pair;
}

/** As the library composes it. */
function rowKey(budget: Budget, guess: Guess): string {
  return `${budget}:${hashOf(budget, guess)}`;
}

/** Whatever is not a verdict of the limiter is a database that did not answer. */
async function consume(
  limiter: RateLimiterPostgres,
  key: string,
): Promise<{ msBeforeNext: number; isRefused: boolean }> {
  try {
    const { msBeforeNext } = await limiter.consume(key);
    return { msBeforeNext, isRefused: false };
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return { msBeforeNext: refusal.msBeforeNext, isRefused: true };
    throw new DatabaseUnavailable('login attempts cannot be counted', { cause: refusal });
  }
}

function tooMany(waitMs: number): AuthError {
  return new AuthError('too_many_requests', { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) });
}
