// @ts-check
// Of two acknowledgements the earlier one: from then on it is certain.

/** @typedef {import('../history.js').Operation} Operation */

/**
 * The one that was acknowledged first.
 *
 * @param {Operation | null} one
 * @param {Operation | null} other
 */
export function firstOf(one, other) {
  if (one === null || other === null) return one ?? other;
  return other.end < one.end ? other : one;
}
