// @ts-check
// Until when something can still happen that nobody was told of: the service's own deadlines, added up.
//
// Certain because nothing waits for ever. PostgreSQL itself gives a statement up after 1.9 s (`statement_timeout` and
// `lock_timeout`, set on each connection) and commits what it has done at once; a statement is not sent unless a
// connection was had within 2 s and proved itself within 10; and whoever waits 2 s for a statement sends no further one.
// A fault that holds messages back does so for 4 s at most. A commit that waits for a standby knows no such bound; what may
// wait for one is marked.

/** @typedef {import('../history.js').Operation} Operation */

/**
 * Of a question over HTTP, from its start on: what decides may be the fifth statement of its request (8 s for those before
 * it, should the keys have changed meanwhile), which waits for a connection (2 s) and its proof (10 s), is held back (4 s), and takes its time (2 s). The rest is for
 * processes that wait for a core, and for the disk.
 */
export const REQUEST_MS = 30_000;

/**
 * Of what an operator did, from when it was given up: there is no proxy, and the statement that was given up is the last.
 * It may still wait for the proof of its connection (10 s), and takes its time (2 s).
 */
export const OPERATOR_MS = 15_000;

/** Whose operations go straight to PostgreSQL. */
export const OPERATOR = 'operator';

/** The latest that it can take effect: once it is answered it has. @param {Operation} operation not a refused one */
export function latestEffect({ outcome, replica, start, end, isOpenEnded }) {
  if (outcome === 'ok') return end;
  if (isOpenEnded === true) return Infinity;
  return replica === OPERATOR ? end + OPERATOR_MS : start + REQUEST_MS;
}
