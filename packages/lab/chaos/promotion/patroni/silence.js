// @ts-check
// How long one question had no answer.

/** @typedef {ReturnType<typeof createSilence>} Silence */

/**
 * From the start of the first question that got no answer to the end of the first one that got one.
 *
 * @param {() => number} now
 */
export function createSilence(now) {
  /** @type {number | null} */
  let since = null;
  let longestMs = 0;
  let answeredAt = -Infinity;
  return {
    /** @param {{ start: number, end: number, isAnswered: boolean }} asked */
    note: ({ start, end, isAnswered }) => {
      if (!isAnswered) {
        since ??= start;
        return;
      }
      if (since !== null) longestMs = Math.max(longestMs, end - since);
      since = null;
      answeredAt = start;
    },
    begin: () => void (longestMs = 0),
    /** One that lasts counts for as long as it has lasted. */
    longestMs: () => Math.max(longestMs, since === null ? 0 : now() - since),
    /** Whether a question was answered that was asked since then, and every one after it. @param {number} moment */
    isOver: (moment) => since === null && answeredAt >= moment,
  };
}
