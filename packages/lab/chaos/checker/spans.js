// @ts-check
// Stretches of time in which something may have happened, each time once: does one of them reach into another stretch?
import { createLeastAfter } from './least-after.js';

/** @typedef {import('../history.js').Operation} Operation */

/**
 * @typedef {object} Span
 * @property {number} from
 * @property {number} until
 * @property {string | null=} tag of what it spares
 * @property {Operation} of
 */

/** @typedef {ReturnType<typeof createSpans>} Spans */

export function createSpans() {
  /** @type {import('./least-after.js').Item<Operation>[]} */
  const items = [];
  /** Made when it is first asked: most sessions are never ended in doubt. @type {ReturnType<typeof createLeastAfter<Operation>> | null} */
  let earliest = null;
  return {
    /** @param {Span} span */
    add: ({ from, until, tag = null, of }) => {
      items.push({ at: until, value: from, tag, of });
      earliest = null;
    },

    /**
     * Whether one of them may lie after one moment and before another.
     *
     * @param {number} after
     * @param {number} before
     * @param {string=} spared
     */
    mayLieBetween: (after, before, spared) => {
      if (items.length === 0) return false;
      earliest ??= createLeastAfter(items);
      return (earliest(after, spared)?.value ?? Infinity) < before;
    },
  };
}
