// @ts-check
// What ends all sessions of a user, or of everybody, that were opened before: it raises an epoch.
import { latestEffect } from './deadlines.js';
import { createLeastAfter } from './least-after.js';
import { createSpans } from './spans.js';

/** @typedef {import('../history.js').Operation} Operation */

/**
 * Something that ends all sessions of a user that were opened before: it raises an epoch.
 *
 * @typedef {object} Raise
 * @property {Operation} operation
 * @property {string | null} kept the session that it leaves alone
 */

/**
 * @param {Raise[]} raises refused ones left out
 * @param {(operation: Operation) => number} until by when one has taken effect, or never will
 */
export function createRaises(raises, until = latestEffect) {
  const firstCertain = createLeastAfter(
    raises
      .filter(({ operation }) => operation.outcome === 'ok')
      .map(({ operation, kept }) => ({
        at: operation.start,
        value: operation.end,
        tag: kept,
        of: operation,
      })),
  );
  const possible = createSpans();
  for (const { operation, kept } of raises)
    possible.add({ from: operation.start, until: until(operation), tag: kept, of: operation });
  return {
    /**
     * The first acknowledged one that surely ends the session. A login stores the epoch that it reads: it has read it by
     * its end, so whatever begins after that end raises the epoch beyond it.
     *
     * @param {string} sid
     * @param {Operation} login
     */
    certainEnd: (sid, login) => firstCertain(login.end, sid)?.of ?? null,

    /**
     * Whether one may have ended the session after a moment at which it lived, or at which its login had not begun, and
     * before another. One that surely took effect before the login began was read by it.
     *
     * @param {string} sid
     * @param {number} after
     * @param {number} before
     */
    mayEndBetween: (sid, after, before) => possible.mayLieBetween(after, before, sid),

    /** Whether one may take effect within the bracket. @param {{ start: number, end: number }} bracket */
    mayTouch: ({ start, end }) => possible.mayLieBetween(start, end),
  };
}
