// @ts-check
// Whether anything may have ended a session or a lineage by the time of an answer.
//
// Certain because an end lies in a stretch of time that is known: from its start until it was acknowledged or, where nobody
// answered, until the service's deadlines have passed. And an end is for ever: whoever was seen alive since has not met it
// yet, and whoever was seen alive after that stretch never will. What can be lifted ends for as long as it is in force.

import { tagOf } from './endings.js';
import { mayBeHeld } from './holds.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./world.js').Lineage} Lineage */
/** @typedef {import('./world.js').Mortal} Mortal */
/** @typedef {ReturnType<typeof createMortality>} Mortality */

/**
 * @param {object} world
 * @param {Map<string, import('./accounts.js').Account>} world.accounts
 * @param {ReturnType<typeof import('./raises.js').createRaises>} world.upheavals
 * @param {number} world.windowMs the least that may pass between a rotation and a theft
 */
export function createMortality({ accounts, upheavals, windowMs }) {
  /**
   * @param {Session} session
   * @param {{ start: number, end: number }} bracket
   * @param {string | null=} exceptRow an operator's, which does not count
   */
  function mayHaveEnded(session, bracket, exceptRow = null) {
    const { login } = session;
    const { end: before } = bracket;
    if (login === null || mayBeHeld(session, bracket, exceptRow)) return true;
    const alive = lastAliveBefore(session, before);
    if (hasOwnEnd(session, alive, before) || mayBeTheft(session, alive, before)) return true;
    return mayEndWithOthers(session, login, alive, before);
  }

  /** @param {Session} session @param {import('../history.js').Operation} login @param {number} alive @param {number} before */
  function mayEndWithOthers({ sid, user }, login, alive, before) {
    const since = Math.max(alive, login.start);
    return (
      upheavals.mayEndBetween(sid, since, before) ||
      (accounts.get(user ?? '')?.mayEndBetween(sid, since, before) ?? false)
    );
  }

  /**
   * Whether anything else than an operation may have ended the session for good by the operation's end.
   *
   * @param {Session} session
   * @param {import('../history.js').Operation} operation
   */
  function mayHaveEndedOtherwise(session, operation) {
    const { login, finals } = session;
    const { end: before } = operation;
    if (login === null) return true;
    const alive = lastAliveBefore(session, before);
    return (
      (finals?.mayLieBetween(alive, before, tagOf(operation)) ?? false) ||
      mayBeTheft(session, alive, before) ||
      mayEndWithOthers(session, login, alive, before)
    );
  }

  /**
   * Theft comes later than the window after the last rotation: whoever was seen alive after one is safe for as long.
   *
   * @param {Session} session
   * @param {number} alive
   * @param {number} before
   */
  function mayBeTheft({ thefts, rotations }, alive, before) {
    return (
      (thefts?.mayLieBetween(alive, before) ?? false) && rotations.lastStartsBy(alive) + windowMs < before
    );
  }

  /**
   * @param {Lineage} lineage
   * @param {{ start: number, end: number }} bracket
   * @param {string | null=} exceptRow an operator's, which does not count
   */
  function mayBeRevoked(lineage, bracket, exceptRow = null) {
    const { end: before } = bracket;
    return (
      mayBeHeld(lineage, bracket, exceptRow) || hasOwnEnd(lineage, lastAliveBefore(lineage, before), before)
    );
  }

  return { mayHaveEnded, mayHaveEndedOtherwise, mayBeRevoked };
}

/**
 * What surely ended it is an excuse whatever was answered later: that is for other rules to judge.
 *
 * @param {Mortal} mortal
 * @param {number} alive
 * @param {number} before
 */
function hasOwnEnd({ ended, ends }, alive, before) {
  return (ended !== null && ended.start < before) || (ends?.mayLieBetween(alive, before) ?? false);
}

/**
 * When the latest answer was asked for, of those that began before a moment, that says it lived: it did then, or later.
 *
 * @param {Mortal} mortal `seenAlive` in ascending order
 * @param {number} moment
 */
export function lastAliveBefore({ seenAlive }, moment) {
  let low = 0;
  let high = seenAlive.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {number} */ (seenAlive[middle]) < moment) low = middle + 1;
    else high = middle;
  }
  return seenAlive[low - 1] ?? -Infinity;
}
