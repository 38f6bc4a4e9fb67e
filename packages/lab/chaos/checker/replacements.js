// @ts-check
// A user's own changes of password: each ends every session and opens one in the place of the session that asked. For as long as
// the window a repetition gets that session again, and each refresh token of the old one is superseded. Outages lengthen this,
// as they do for refreshes.
//
// Certain because a session is replaced at most once: of all requests of one session for one new password, one has made the
// change if any was answered, and the others repeat it. It was made after the first of them began, and before the first answer.
import { groupBy } from './group.js';

/** @typedef {import('../history.js').History} History */
/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./clock.js').Bracket} Bracket */

/**
 * @typedef {object} Change
 * @property {Operation} operation all requests for it as one: it was made between its start and its end, if it was answered
 * @property {string} asking the session that it ends with all others
 * @property {string | null} opened the session in its place; null where no answer tells
 */

/** @typedef {ReturnType<typeof createReplacements>} Replacements */

/**
 * @param {History} history
 * @param {import('./windows.js').Windows} windows
 * @param {(id: number | null | undefined) => Token} tokenOf
 */
export function createReplacements({ operations }, windows, tokenOf) {
  const requests = operations.filter(
    (operation) => isOwnChange(operation) && operation.outcome !== 'refused',
  );
  const requestsOf = groupBy(requests, ({ token }) => tokenOf(token).sid);
  const changes = [...requestsOf].flatMap(([asking, own]) =>
    [...groupBy(own, ({ password }) => password).values()].flatMap((same) =>
      unite(same).map((operation) => ({ operation, asking, opened: openedBy(operation) })),
    ),
  );
  const changesOf = groupBy(changes, ({ asking }) => asking);

  /** @param {Operation} operation an answered one, or all requests for a change as one */
  function openedBy({ access }) {
    return access === undefined ? null : tokenOf(access).sid;
  }

  /** How the window of a change stood. @param {Pick<Change, 'operation'>} change @param {Bracket} bracket */
  const standingOf = ({ operation }, bracket) =>
    windows.standingOf(bracket, { earliest: operation.start, latest: operation.end });

  return {
    /** @type {Change[]} */
    changes,

    /** Whether another request of the same session may have been first. @param {Operation} operation a change, whatever its answer */
    mayRepeat: (operation) =>
      (requestsOf.get(tokenOf(operation.token).sid) ?? []).some(
        (other) => other !== operation && other.start < operation.end,
      ),

    /** The change that the session surely asked for first, and before. @param {string} sid @param {Bracket} bracket @returns {Change | null} */
    madeBefore: (sid, { start }) => {
      const made = (changesOf.get(sid) ?? []).filter(({ operation: { outcome } }) => outcome === 'ok');
      const [first] = made.toSorted((a, b) => a.operation.end - b.operation.end);
      return first !== undefined && first.operation.end < start ? first : null;
    },

    /** Whether the window of a change had surely run out. @param {Change} change @param {Bracket} bracket */
    isLate: (change, bracket) => standingOf(change, bracket).mustBeTheft,

    /** Whether it was surely open. @param {Change} change @param {Bracket} bracket */
    isWithin: (change, bracket) => standingOf(change, bracket).isOpen,

    /** Whether the session may have been replaced so shortly before. @param {string} sid @param {Bracket} bracket */
    mayBeRecent: (sid, bracket) =>
      (changesOf.get(sid) ?? []).some(
        ({ operation }) =>
          operation.start < bracket.end &&
          (operation.outcome === 'unknown' || !standingOf({ operation }, bracket).mustBeTheft),
      ),

    /** Whether it surely was. @param {string} sid @param {Bracket} bracket */
    isRecent: (sid, bracket) =>
      (changesOf.get(sid) ?? []).some(
        ({ operation }) =>
          operation.outcome === 'ok' &&
          operation.end < bracket.start &&
          standingOf({ operation }, bracket).isOpen,
      ),
  };
}

/** Whether a user asked for it, not an operator. @param {Operation} operation */
export function isOwnChange({ kind, token }) {
  return kind === 'password' && token !== undefined;
}

/**
 * The requests of one session for one new password: as one if any was answered, otherwise each may be the one.
 *
 * @param {Operation[]} requests in the order of their ends
 * @returns {Operation[]}
 */
function unite(requests) {
  const first = requests.find(({ outcome }) => outcome === 'ok');
  if (first === undefined) return requests;
  return [{ ...first, start: Math.min(...requests.map(({ start }) => start)) }];
}
