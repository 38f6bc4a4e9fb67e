// @ts-check
// How long a replay window was: as long as it is set, and longer where an outage cut it off (src/domain/liveness/beat.ts).
//
// Certain because every beat is known, and when each became visible: after it was noted, and before the next one was noted. So
// a request saw one of few beats, and what holds by all of them holds. A rotation is known by the earliest and the latest
// that it can have been, and no window that begins earlier ends later.

/** @typedef {import('../beats.js').Beat} Beat */
/** @typedef {import('../history.js').History} History */
/** @typedef {import('./clock.js').Bracket} Bracket */

/** A beat that is older tells nothing. */
const LONGEST_SILENCE_MS = 5000;

/**
 * How a window stood in all of a bracket.
 *
 * @typedef {object} Standing
 * @property {boolean} isOpen
 * @property {boolean} isShut
 * @property {boolean} isOpenByOutage it is open, and would be shut but for an outage
 * @property {boolean} isShutAfterOutage it is shut, and an outage has been over since the rotation
 * @property {boolean} mustBeTheft it is shut, and the service knew
 * @property {boolean} mayBeTheft it may be shut, and the service may have known
 * @property {boolean} mayBeUnknown it may be shut, and the service may not have known: that is no theft, and no successor either
 */

/** @typedef {ReturnType<typeof createWindows>} Windows */

/**
 * @param {Pick<History, 'beats' | 'rules'>} history without any beat: there was no outage
 * @param {import('./clock.js').Clock} clock
 */
export function createWindows({ beats, rules }, { slackMs }) {
  const windowMs = 1000 * rules.replayWindow;

  /** How many were surely noted, or may have been, by a moment. @param {number} moment */
  const notedBy = (moment) => countUntil(beats, moment);

  /** Those that a request may have seen. @param {Bracket} bracket @returns {Beat[]} */
  function visibleIn({ start, end }) {
    // The last but one that was noted before had been committed: the last one had waited for it.
    const first = Math.max(0, notedBy(start - slackMs) - 2);
    const seen = beats.slice(first, notedBy(end + slackMs));
    return seen.length === 0 ? [{ notedAt: -Infinity, at: Infinity, since: null, until: null }] : seen;
  }

  return {
    /**
     * The window of a session whose last rotation, if there was one, was between two moments.
     *
     * @param {Bracket} bracket of the request
     * @param {{ earliest: number, latest: number }} rotation
     * @returns {Standing}
     */
    standingOf: (bracket, rotation) => {
      const { start, end } = bracket;
      const seen = visibleIn(bracket).map(({ at, since, until }) => ({
        since: since ?? -Infinity,
        isOpen: end + slackMs <= earliestEnd(rotation.earliest, since, until),
        isShut: start - slackMs > latestEnd(rotation.latest, since, until),
        isFresh: at >= end + slackMs - LONGEST_SILENCE_MS,
        isStale: at < start - slackMs - LONGEST_SILENCE_MS,
      }));
      const isOpen = seen.every((one) => one.isOpen);
      const isShut = seen.every((one) => one.isShut);
      return {
        isOpen,
        isShut,
        isOpenByOutage: isOpen && start - slackMs > rotation.latest + windowMs,
        isShutAfterOutage: isShut && seen.every(({ since }) => rotation.latest + slackMs <= since),
        mustBeTheft: seen.every((one) => one.isShut && one.isFresh),
        mayBeTheft: seen.some((one) => !one.isOpen && !one.isStale),
        mayBeUnknown: seen.some((one) => !one.isOpen && !one.isFresh),
      };
    },
  };

  /** @param {number} rotated not before @param {number | null} since @param {number | null} until */
  function earliestEnd(rotated, since, until) {
    const isCutOff = since !== null && until !== null && rotated + windowMs - slackMs > until;
    return (isCutOff ? Math.max(rotated, since) : rotated) + windowMs;
  }

  /** @param {number} rotated not after @param {number | null} since @param {number | null} until */
  function latestEnd(rotated, since, until) {
    const mayBeCutOff = since !== null && until !== null && rotated + windowMs + slackMs > until;
    return (mayBeCutOff ? Math.max(rotated, since) : rotated) + windowMs;
  }
}

/** How many were noted by a moment. @param {Beat[]} beats in that order @param {number} moment */
function countUntil(beats, moment) {
  let low = 0;
  let high = beats.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {Beat} */ (beats[middle]).notedAt <= moment) low = middle + 1;
    else high = middle;
  }
  return low;
}
