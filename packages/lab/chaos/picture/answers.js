// @ts-check
// What the operations of one session show: that it lives, that it does not, that a kill has not brought it back.

/** @typedef {import('../history.js').Operation} Operation */

/** What ends a session may be answered alike for one that lives and one that does not. */
export const ENDS = new Set(['logout', 'logout-all', 'end-session', 'revoke']);

/** Whether it gave a token or called one alive. @param {Operation} operation */
export const isPositive = ({ kind, outcome, active }) =>
  outcome === 'ok' && active !== false && !ENDS.has(kind);

/** @param {Operation} operation */
export const isNegative = ({ outcome, active }) => outcome === 'refused' || active === false;

/**
 * Whether it is a no by what was killed before, or, of PostgreSQL, by any replica.
 *
 * @param {Operation} operation
 * @param {{ target: string | null, at: number }} kill
 */
export function isProofOf(operation, { target, at }) {
  return (
    isNegative(operation) && operation.start > at && (target === 'postgres' || operation.replica === target)
  );
}

/**
 * Where one refresh token was sent more than once at once: the first of those requests and how many met, the most first.
 *
 * @param {Operation[]} operations in the order of their starts
 * @returns {{ first: Operation, count: number }[]} one for each token
 */
export function refreshesAtOnce(operations) {
  /** @type {Map<number | undefined, { first: Operation, count: number }>} */
  const found = new Map();
  const refreshes = operations.filter(({ kind }) => kind === 'refresh');
  for (const last of refreshes) {
    const met = refreshes.filter(
      ({ token, start, end }) => token === last.token && start <= last.start && end > last.start,
    );
    const [first = last] = met;
    if (met.length > (found.get(last.token)?.count ?? 1)) found.set(last.token, { first, count: met.length });
  }
  return [...found.values()].sort((a, b) => b.count - a.count);
}
