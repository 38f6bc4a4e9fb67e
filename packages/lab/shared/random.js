// @ts-check
// Chance that can be had again: the same seed gives the same numbers.

/**
 * Mulberry32: small, and even enough for choosing, shuffling and gaps.
 *
 * @param {number} seed
 * @returns {() => number} from 0 to 1, which is left out
 */
export function createRandom(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    const once = Math.imul(state ^ (state >>> 15), 1 | state);
    const twice = (once + Math.imul(once ^ (once >>> 7), 61 | once)) ^ once;
    return ((twice ^ (twice >>> 14)) >>> 0) / 4294967296;
  };
}
