// @ts-check
// How long a part of a run goes on: until its time is up and enough has happened, for which a slow machine gets more time.

/** Of the time that was asked for, at most. */
const MOST_TIMES = 5;

/** @typedef {ReturnType<typeof createTerm>} Term */

/**
 * @param {() => number} now
 * @param {number} ms what was asked for, from now on
 */
export function createTerm(now, ms) {
  const untilMs = now() + ms;
  const lastMs = now() + MOST_TIMES * ms;
  return {
    /** When it is over, whatever has happened. */
    lastMs,
    /** @param {() => boolean} hasEnough is asked once the time is up */
    isOver: (hasEnough) => now() >= lastMs || (now() >= untilMs && hasEnough()),
  };
}
