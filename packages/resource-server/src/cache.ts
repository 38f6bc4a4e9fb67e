/** What Gatehouse said of live tokens, kept as long as the operator lets a logout go unnoticed. */
import { createHash } from 'node:crypto';
import { windowSeconds } from '@gatehouse/protocol';
import { LRUCache } from 'lru-cache';

import type { User, Verdict } from './verdict.js';

export interface Cache {
  find: (token: string) => Readonly<User> | undefined;
  /** @param askedAtMs when the question was asked, by `performance.now()`: the verdict is no younger than that */
  keep: (token: string, verdict: Verdict, askedAtMs: number) => void;
}

const MAX_USERS = 10_000;

const NONE: Cache = { find: () => undefined, keep: () => undefined };

/**
 * Keeps live verdicts alone: a new login, or a new session of the same user, must not wait for an old no.
 *
 * Found by the exact text that was asked about. One token may have several spellings: another one misses, and is asked
 * about itself. As a digest, so that the memory holds no tokens.
 */
export function createCache(cacheSeconds: number): Cache {
  if (cacheSeconds === 0) return NONE;
  const users = new LRUCache<string, Readonly<User>>({ max: MAX_USERS });
  return {
    find: (token) => users.get(digest(token)),
    keep: (token, { user, refreshedToken, date }, askedAtMs) => {
      // Near its end every request asks: the successor is always fresh, and reaches whoever comes first.
      if (user === null || refreshedToken !== null) return;
      // By whichever clock is ahead, ours or the service's: with one that is behind, the renewal would be slept through.
      // Without a date this is no number, and nothing is kept.
      const now = Math.max(Date.now(), Date.parse(String(date))) / 1000;
      const untilRenewalSeconds = user.exp - windowSeconds(user) - now;
      const ttl = Math.floor(Math.min(cacheSeconds, untilRenewalSeconds) * 1000);
      if (ttl > 0) users.set(digest(token), user, { ttl, start: askedAtMs });
    },
  };
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
