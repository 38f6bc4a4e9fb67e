/** How often a password may be guessed: by account, by network, and by the two together, counted for all replicas. */
import { createHash } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';

import { DatabaseUnavailable, type Database } from '../database/prisma.js';
import { AuthError } from './errors.js';
import { canonicalUsername } from './usernames.js';

/** Failures within a window, after which every further attempt is refused until the window ends. */
export const LOGIN_LIMITS = {
  /** One network at one account: somebody who has forgotten, or who guesses. */
  pair: { points: 10, duration: 15 * 60 },
  /** One account from wherever. */
  account: { points: 100, duration: 60 * 60 },
  /** One network at whatever account. An office behind one address needs room. */
  network: { points: 200, duration: 15 * 60 },
} as const;

export interface Throttle {
  /**
   * Takes one attempt from each budget before anything is looked up or hashed, so that parallel guesses cannot slip
   * through, alike for names that exist and names that do not.
   *
   * @returns gives the attempt back, once the password proved right
   * @throws {AuthError} too_many_requests
   * @throws {DatabaseUnavailable}
   */
  takeAttempt: (typedUsername: string, ip: string) => Promise<() => Promise<void>>;
}

/**
 * Counts in the table `login_attempts`. Windows are fixed and end by the replica's clock: this decides about guesses,
 * not about tokens.
 */
export function createThrottle({ pool }: Database): Throttle {
  const limiters = {
    pair: createLimiter(pool, 'pair'),
    account: createLimiter(pool, 'account'),
    network: createLimiter(pool, 'network'),
  };

  return {
    takeAttempt: async (typedUsername, ip) => {
      const account = canonicalUsername(typedUsername) ?? typedUsername;
      const network = networkOf(ip);
      const taken = [
        { limiter: limiters.pair, key: hashOf(account, network) },
        { limiter: limiters.account, key: hashOf(account) },
        { limiter: limiters.network, key: hashOf(network) },
      ];
      const results = await Promise.allSettled(taken.map(({ limiter, key }) => limiter.consume(key)));
      const refusals = results.flatMap((result) =>
        result.status === 'rejected' ? [result.reason as unknown] : [],
      );
      if (refusals.length > 0) throw toAuthError(refusals);
      return async () => {
        await Promise.all(taken.map(({ limiter, key }) => limiter.reward(key))).catch((cause: unknown) => {
          throw new DatabaseUnavailable('the attempt could not be given back', { cause });
        });
      };
    },
  };
}

function createLimiter(pool: Database['pool'], name: keyof typeof LOGIN_LIMITS): RateLimiterPostgres {
  return new RateLimiterPostgres({
    storeClient: pool,
    storeType: 'pool',
    tableName: 'login_attempts',
    tableCreated: true,
    clearExpiredByTimeout: false,
    keyPrefix: name,
    ...LOGIN_LIMITS[name],
  });
}

/** Whatever is not a verdict of the limiter is a database that did not answer. */
function toAuthError(refusals: unknown[]): Error {
  const failure = refusals.find((refusal) => !(refusal instanceof RateLimiterRes));
  if (failure !== undefined)
    return new DatabaseUnavailable('login attempts cannot be counted', { cause: failure });
  const waits = refusals.map((refusal) => (refusal as RateLimiterRes).msBeforeNext);
  return new AuthError('too_many_requests', {
    retryAfterSeconds: Math.max(1, Math.ceil(Math.max(...waits) / 1000)),
  });
}

/** What one subscriber can choose addresses from: an IPv4 address, or an IPv6 /64. Mapped addresses are IPv4. */
export function networkOf(ip: string): string {
  const address = ipaddr.process(ip);
  if (address.kind() === 'ipv4') return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`).toString()}/64`;
}

function hashOf(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}

/** Deletes one batch of counts whose window has ended; returns how many went. */
export async function pruneAttempts(database: Database): Promise<number> {
  const rows = await database.query`
    DELETE FROM login_attempts WHERE key IN (
      SELECT key FROM login_attempts WHERE expire <= ${Date.now()}::float8::bigint
      ORDER BY expire LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) RETURNING key`;
  return rows.length;
}
