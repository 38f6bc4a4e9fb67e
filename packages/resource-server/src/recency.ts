/** How long ago a user gave the password, by the clock of Gatehouse: ours may be hours off. */
import { Unanswered } from './unanswered.js';
import type { User, Verdict } from './verdict.js';

export interface Recency {
  /** Sets the clock by an answer that has just come. */
  hear: (verdict: Pick<Verdict, 'date'>) => void;
  /** @throws {Unanswered} when no answer has told the time */
  isRecent: (user: Pick<User, 'auth_time'>, maxAgeSeconds: number) => boolean;
}

/** @param monotonicMs never set by anybody, in milliseconds */
export function createRecency(monotonicMs: () => number = () => performance.now()): Recency {
  /** What is added to our own clock, in milliseconds. */
  let offsetMs = NaN;
  return {
    hear: ({ date }) => {
      offsetMs = Date.parse(String(date)) - monotonicMs();
    },
    isRecent: ({ auth_time }, maxAgeSeconds) => {
      const now = Math.floor((monotonicMs() + offsetMs) / 1000);
      if (Number.isNaN(now))
        throw new Unanswered(
          'The answer of Gatehouse has no header `Date`, so nobody knows how long ago the password was given: let the way to it keep this header.',
          { isMisconfigured: true },
        );
      return now - auth_time <= maxAgeSeconds;
    },
  };
}

/** A mistake in the program, said before anybody is asked. @throws {TypeError} */
export function checkMaxAge(maxAge: unknown): void {
  if (maxAge !== undefined && !(Number.isSafeInteger(maxAge) && Number(maxAge) >= 0))
    throw new TypeError('gatehouse: `maxAge` is a whole number of seconds, 0 or more');
}
