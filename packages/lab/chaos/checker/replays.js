// @ts-check
// Rules B, D, E, F and G for what `/refresh` answers: the table of the contract, as far as the brackets tell which row it is.
//
// Certain because a rotation lies between two moments: the first that began may have done it, and the first answer tells
// that it was done. A window is surely open if even the earliest last rotation is that near to the end of the request, and
// surely shut if even the latest is that far from its start.
import { firstOf } from './first-of.js';
import { mayComeBack } from './holds.js';
import { isTurnedAway, tellsOfLife } from './sightings.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./findings.js').Findings} Findings */

/**
 * @typedef {object} Case
 * @property {Operation} operation
 * @property {Token} token
 * @property {Session} session
 * @property {boolean} isSpent surely, before this was asked
 * @property {boolean} isGrandparent surely: its successor was spent too
 * @property {import('./windows.js').Standing} window of the last rotation; open, too, where nothing was spent at all
 */

/** @param {World} world @param {Findings} findings */
export function checkReplays(world, findings) {
  for (const operation of world.operations) {
    if (operation.kind !== 'refresh' || operation.outcome === 'unknown') continue;
    const found = caseOf(operation, world);
    // Of a session that a new password has replaced, every refresh token is superseded for as long as the window.
    const isReplaced = world.replacements.mayBeRecent(found.session.sid, operation);
    if (isReplaced && operation.error === 'refresh_superseded') continue;
    noteWork(found, world, findings);
    checkExpired(found, world, findings);
    if (operation.outcome === 'ok') checkAccepted(found, findings);
    else if (operation.error === 'refresh_reused') checkReused(found, findings);
    else if (operation.error === 'refresh_superseded') checkSuperseded(found, findings);
    else if (isTurnedAway(operation)) checkUnknown(found, world, findings);
  }
}

/** @param {Operation} operation @param {World} world @returns {Case} */
function caseOf(operation, { windows, tokenOf, sessionOf }) {
  const token = tokenOf(operation.token);
  const session = sessionOf(token);
  const { rotations } = session;
  const { generation } = token;
  const isSpent = rotations.isSurelySpent(generation, operation.start);
  return {
    operation,
    token,
    session,
    isSpent,
    isGrandparent: rotations.isSurelySpent(generation + 1, operation.start),
    window: windows.standingOf(operation, {
      earliest: rotations.surelySince(generation, operation.start),
      latest: rotations.lastEndsBy(operation.end),
    }),
  };
}

/** @param {Case} found @param {World} world @param {Findings} findings */
function noteWork(found, world, findings) {
  const { operation, session, isSpent, window } = found;
  if (isOwed(found, world) && !world.mayHaveEnded(session, operation)) findings.apply('B', 'refreshes');
  if (!isSpent) return;
  const isHonest = session.login?.honest === true;
  if (window.isOpen && isHonest) findings.apply('E', 'replays');
  if (window.isOpen) findings.apply('F', 'within');
  if (window.mustBeTheft) findings.apply('F', 'late');
  if (window.isOpenByOutage && isHonest) findings.count('E replays after an outage');
  if (window.isShutAfterOutage && window.mustBeTheft) findings.count('F late after an outage');
  if (window.isShut && !window.mayBeTheft) findings.count('F late in an outage');
}

/**
 * A session that has come to its end is not known any more, whatever its token.
 *
 * @param {Case} found
 * @param {World} world
 * @param {Findings} findings
 */
function checkExpired({ operation, token, session }, { clock }, findings) {
  if (!tellsOfLife(operation)) return;
  const details = { session: session.sid };
  if (session.login !== null && clock.isSurelyPast(session.expiresAt, operation))
    findings.report('G', operation, 'answered past the end of the session', details);
  // A replay is answered past its `exp`: only where nobody else can have spent it has this rotated an expired one.
  const isAlone = session.rotations.isOnlyBy(token.generation, operation);
  if (isAlone && clock.isSurelyPast(Number(token.claims['exp']), operation))
    findings.report('G', operation, 'rotated a token that had expired', details);
}

/** @param {Case} found @param {Findings} findings */
function checkAccepted({ operation, session, isSpent, isGrandparent, window }, findings) {
  const details = { session: session.sid };
  if (isSpent && window.isShut)
    findings.report('F', operation, 'a replay later than the window was answered', details);
  if (isGrandparent)
    findings.report('F', operation, 'answered a token whose successor had been spent as well', details);
}

/** @param {Case} found @param {Findings} findings */
function checkReused({ operation, session, window }, findings) {
  if (window.mayBeTheft) return;
  const isHonest = session.login?.honest === true;
  const whose = isHonest ? 'the session of an honest client' : 'a session';
  const message = `ended ${whose} as theft ${window.isOpen ? 'within the window' : 'in an outage'}`;
  findings.report(isHonest ? 'E' : 'F', operation, message, { session: session.sid });
}

/** @param {Case} found @param {Findings} findings */
function checkSuperseded({ operation, token, session, isSpent, window }, findings) {
  const details = { session: session.sid };
  if (isSpent && window.mustBeTheft)
    findings.report('F', operation, 'a replay later than the window left the session alive', details);
  if (window.mayBeUnknown || session.rotations.mayBeSpent(token.generation + 1, operation.end)) return;
  const rule = isSpent ? 'D' : 'B';
  findings.report(rule, operation, 'said superseded though the token had no grandchild', details);
}

/**
 * Whether the token is known to whoever finds the session alive: all but an expired current one is.
 *
 * @param {Case} found
 * @param {World} world
 */
function isOwed({ operation, token, session, isSpent }, { clock }) {
  if (session.login === null || clock.isPossiblyPast(session.expiresAt, operation)) return false;
  return isSpent || !clock.isPossiblyPast(Number(token.claims['exp']), operation);
}

/**
 * What is owed an answer and was not even known: its session must have ended.
 *
 * @param {Case} found
 * @param {World} world
 * @param {Findings} findings
 */
function checkUnknown(found, world, findings) {
  const { operation, token, session } = found;
  const { clock, replacements, upheavals } = world;
  if (
    session.login !== null &&
    replacements.isRecent(session.sid, operation) &&
    !clock.isPossiblyPast(session.expiresAt, operation) &&
    !upheavals.mayEndBetween(session.sid, session.login.start, operation.end)
  ) {
    const message = 'did not know a refresh token of a session that a new password had just replaced';
    findings.report('D', operation, message, { session: session.sid });
  }
  if (!isOwed(found, world)) return;
  if (world.mayHaveEnded(session, operation)) {
    if (!mayComeBack(session, operation)) session.foundGone = firstOf(session.foundGone, operation);
    return;
  }
  const isLost = session.rotations.mayBeSpent(token.generation, operation.end);
  const message = isLost
    ? 'the successor of a spent refresh token is lost'
    : 'the current refresh token was turned away though nothing had ended its session';
  findings.report(isLost ? 'D' : 'B', operation, message, { session: session.sid });
}
