// @ts-check
// How much there is to be seen in a session: points for what shows something, and against what would bury it.
import { isNegative, isPositive, refreshesAtOnce } from './answers.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./telling.js').Telling} Telling */

/** That every replica says so this soon after the end is seen best. */
const SOON_MS = 100;

/** What an eye can still follow, and how much there has to be to see. */
const MOST_OPERATIONS = 150;
const LONGEST_MS = 9000;

/** Points for what is to be seen, and against what would bury it. @param {Telling} told */
export function scoreOf({ operations, kills, end, replicas, fromMs, toMs }) {
  const before = operations.filter((one) => one.end < end.start);
  const unknown = operations.filter(({ outcome }) => outcome === 'unknown').length;
  /** @param {boolean} isBefore @param {boolean} isPostgres */
  const isHit = (isBefore, isPostgres) =>
    kills.some(({ at, target }) => at < end.start === isBefore && (target === 'postgres') === isPostgres);
  return sum([
    [40, !before.some(isNegative) && !operations.some((one) => one.start > end.end && isPositive(one))],
    [20, isHit(true, false) || isHit(true, true)],
    [10, isHit(true, false) && isHit(true, true)],
    [10, isHit(false, true)],
    [5, isHit(false, false)],
    [20, unknown > 0],
    [20, before.some(({ kind, active }) => kind === 'introspect' && active === true)],
    [20, refreshesAtOnce(before).length > 0],
    [10, replicas.every((replica) => before.some((one) => one.replica === replica))],
    [20, replicas.every((replica) => operations.some((one) => isSeenSoon(one, replica, end)))],
    [2 * countTenths(before, fromMs, end.start), true],
    [10, end.kind === 'logout'],
    [
      10,
      operations.some(
        ({ kind, outcome, start }) => kind === end.kind && outcome === 'unknown' && start < end.end,
      ),
    ],
    [Math.min(20, before.length / 3), true],
    [-40, operations.length > MOST_OPERATIONS],
    [-20, toMs - fromMs > LONGEST_MS],
    [-20, unknown > operations.length / 3],
  ]);
}

/** @param {Operation} operation @param {string} replica @param {Operation} end */
function isSeenSoon(operation, replica, end) {
  const { start } = operation;
  return (
    operation.replica === replica && start > end.end && start < end.end + SOON_MS && isNegative(operation)
  );
}

/** In how many tenths of its life something was asked. @param {Operation[]} operations @param {number} from @param {number} to */
function countTenths(operations, from, to) {
  return new Set(operations.map(({ start }) => Math.floor((10 * (start - from)) / (to - from)))).size;
}

/** @param {[points: number, isGiven: boolean][]} points */
function sum(points) {
  return points.reduce((total, [some, isGiven]) => total + (isGiven ? some : 0), 0);
}
