// @ts-check
// What the picture says in words: of the session as a whole, and of its moments.
import { isPositive, isProofOf, refreshesAtOnce } from './answers.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./telling.js').Telling} Telling */
/** @typedef {import('./lanes.js').Word} Word */

/** Of the refreshes that were sent at once, so many groups are pointed out. */
const MOST_GROUPS = 2;

/** @type {Record<string, { name: string, request: string }>} */
const ENDS = {
  logout: { name: 'logout', request: 'POST /logout' },
  'logout-all': { name: 'logout everywhere', request: 'POST /logout-all' },
  'end-session': { name: 'end', request: 'DELETE /sessions/:id' },
  revoke: { name: 'revocation', request: 'POST /revoke' },
};

/** @param {Operation} end */
function nameOf({ kind }) {
  return ENDS[kind]?.name ?? kind;
}

/** @param {Operation} operation */
function requestOf({ kind }) {
  return ENDS[kind]?.request ?? kind;
}

/** @param {Operation} end */
export function sayEnd(end) {
  return `${nameOf(end)} answered${end.status === null ? '' : ` ${end.status}`}`;
}

/** @param {Telling} telling */
export function sourceOf({ seed, sid }) {
  return `seed ${seed}, session …${sid.slice(-6)}`;
}

/** @param {Telling} telling */
export function describe({ operations, kills, end }) {
  const unknown = operations.filter(({ outcome }) => outcome === 'unknown').length;
  const later = operations.filter(({ start }) => start > end.end);
  const alive = later.filter(isPositive).length;
  return (
    `${many(operations.length, 'question')} under ${many(kills.length, 'kill')}, ${unknown} without a certain answer; ` +
    `${later.length} asked after the ${nameOf(end)} was answered: ${alive === 0 ? 'none' : alive} of them found the session alive.`
  );
}

/** @param {number} count @param {string} what */
function many(count, what) {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** @param {Telling} telling @returns {Word[]} the most telling first */
export function wordsOf(telling) {
  const { kills, login, end, operations } = telling;
  return [
    ...kills.map(({ target, name, at }) => ({
      lane: target,
      at,
      text: name === 'stop-postgres' ? 'stopped at once' : 'killed',
      name: 'kill',
    })),
    wordOf(login, 'login', 'minted'),
    ...refreshesAtOnce(operations)
      .slice(0, MOST_GROUPS)
      .map(({ first, count }) => wordOf(first, `${count} refreshes at once`, 'minted')),
    wordOf(end, requestOf(end), 'end'),
    ...operations
      .filter(({ kind, outcome, start }) => kind === end.kind && outcome === 'unknown' && start < end.end)
      .map((one) => wordOf(one, `${requestOf(one)}: ${one.status ?? 'no answer'}`, 'unknown')),
    ...stillInactive(telling),
  ];
}

/** What shows that a kill after the end has brought nothing back. @param {Telling} telling */
function stillInactive({ kills, end, operations }) {
  const proofs = kills
    .filter(({ at }) => at > end.end)
    .flatMap((kill) => operations.find((one) => isProofOf(one, kill)) ?? []);
  return proofs.slice(0, 1).map((proof) => wordOf(proof, 'still inactive', 'inactive'));
}

/** @param {Operation} operation @param {string} text @param {string} name @returns {Word} */
function wordOf({ replica, start }, text, name) {
  return { lane: replica, at: start, text, name };
}
