// @ts-check
// Rules B and G for lists of sessions: all that surely live are there, and none whose time had surely come.
import { firstOf } from './first-of.js';
import { mayComeBack } from './holds.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./findings.js').Findings} Findings */

/** A list is cut off here. */
const LONGEST_LIST = 1000;

/** @param {World} world @param {Findings} findings */
export function checkLists(world, findings) {
  const sessionsOf = groupByUser(world);
  for (const operation of world.operations) {
    if (operation.kind !== 'list' || operation.outcome !== 'ok') continue;
    const { user } = world.sessionOf(world.tokenOf(operation.token));
    checkPresent(operation, world, findings);
    checkMissing(operation, sessionsOf.get(user ?? '') ?? [], world, findings);
  }
}

/** @param {World} world @returns {Map<string, Session[]>} in the order in which their logins were answered */
function groupByUser({ sessions }) {
  /** @type {Map<string, Session[]>} */
  const found = new Map();
  for (const session of sessions.values()) {
    if (session.user === null) continue;
    const own = found.get(session.user) ?? [];
    own.push(session);
    found.set(session.user, own);
  }
  for (const own of found.values()) own.sort((a, b) => answeredAt(a) - answeredAt(b));
  return found;
}

/** @param {Session} session */
function answeredAt({ login }) {
  return login?.end ?? Infinity;
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkPresent(operation, { sessions, clock }, findings) {
  for (const sid of operation.sids ?? []) {
    const session = sessions.get(sid);
    if (session === undefined || session.login === null) continue;
    if (clock.isSurelyPast(session.expiresAt, operation))
      findings.report('G', operation, 'lists a session past its end', { session: sid });
  }
}

/**
 * Only sessions that were opened within the longest life before can live.
 *
 * @param {Operation} operation
 * @param {Session[]} sessions of the user
 * @param {World} world
 * @param {Findings} findings
 */
function checkMissing(operation, sessions, { clock, rules, mayHaveEnded }, findings) {
  const sids = new Set(operation.sids);
  if (sids.size >= LONGEST_LIST) return;
  const oldest = operation.start - rules.sessionTtl * 1000 - clock.slackMs;
  for (let place = firstAnsweredFrom(sessions, oldest); place < sessions.length; place += 1) {
    const session = /** @type {Session} */ (sessions[place]);
    if (answeredAt(session) >= operation.start) return;
    if (clock.isPossiblyPast(session.expiresAt, operation)) continue;
    if (!mayHaveEnded(session, operation)) {
      findings.apply('B', 'lists');
      if (!sids.has(session.sid))
        findings.report('B', operation, 'lacks a session that nothing had ended', { session: session.sid });
    } else if (!sids.has(session.sid) && !mayComeBack(session, operation)) {
      session.foundGone = firstOf(session.foundGone, operation);
    }
  }
}

/** @param {Session[]} sessions @param {number} moment */
function firstAnsweredFrom(sessions, moment) {
  let low = 0;
  let high = sessions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (answeredAt(/** @type {Session} */ (sessions[middle])) >= moment) high = middle;
    else low = middle + 1;
  }
  return low;
}
