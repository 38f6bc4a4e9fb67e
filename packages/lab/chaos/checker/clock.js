// @ts-check
// The database's clock as far as the monotonic one tells: a time is a bracket, and only what holds in all of it is certain.

/** @typedef {{ start: number, end: number }} Bracket */

/** Times in the database are cut to whole milliseconds. */
const TRUNCATION_MS = 1;

/**
 * @param {{ epochMs: number, toleranceMs: number }} history
 *
 * @typedef {ReturnType<typeof createClock>} Clock
 */
export function createClock({ epochMs, toleranceMs }) {
  return {
    /** How far the time between two readings of the database's clock may be from the time that passed. */
    slackMs: 2 * toleranceMs + TRUNCATION_MS,

    /** The least and the most that the database's clock can have shown, in seconds since 1970. @param {Bracket} bracket */
    secondsOf: ({ start, end }) => ({
      least: (epochMs + start - toleranceMs - TRUNCATION_MS) / 1000,
      most: (epochMs + end + toleranceMs) / 1000,
    }),

    /** When, on the monotonic clock, the database's shows this second: not before, and not after. @param {number} second */
    bracketOf: (second) => ({
      start: second * 1000 - epochMs - toleranceMs,
      end: second * 1000 - epochMs + toleranceMs + TRUNCATION_MS,
    }),

    /** Whether the second had come wherever in the bracket it was judged. @param {number} second @param {Bracket} bracket */
    isSurelyPast: (second, { start }) => epochMs + start - toleranceMs - TRUNCATION_MS >= second * 1000,

    /** Whether the second may have come by the end of the bracket. @param {number} second @param {Bracket} bracket */
    isPossiblyPast: (second, { end }) => epochMs + end + toleranceMs >= second * 1000,
  };
}
