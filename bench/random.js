// Chance that comes again: the same numbers from the same seed.

/** A linear congruential generator of numbers from 0 to 1: good enough for gaps and for shuffling. */
export function createRandom(seed) {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}
