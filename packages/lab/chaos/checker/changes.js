// @ts-check
// Rules A, B and D for a user's own new password: one session in the place of the one that asked, and the same one for everybody who
// repeats the request within the window.
//
// Certain as the changes themselves are: see `replacements.js`.
import { mayBeHeld } from './holds.js';
import { isTurnedAway } from './sightings.js';
import { isOwnChange } from './replacements.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

/** @param {World} world @param {Findings} findings */
export function checkChanges(world, findings) {
  for (const { operation, asking, opened } of world.replacements.changes)
    if (opened === asking)
      findings.report('D', operation, 'left the session that asked in its own place', { session: asking });
  for (const operation of world.operations)
    if (isOwnChange(operation)) checkRepetition(operation, world, findings);
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkRepetition(operation, world, findings) {
  const { tokenOf, replacements } = world;
  const { sid } = tokenOf(operation.token);
  const change = replacements.madeBefore(sid, operation);
  if (change === null) return;
  const details = { because: [change.operation], session: sid };
  if (change.operation.password !== operation.password) {
    if (operation.outcome === 'ok')
      findings.report('A', operation, 'changed a password for a session that had been replaced', details);
    return;
  }
  if (operation.outcome === 'ok') {
    findings.apply('D', 'repeated changes of password');
    if (operation.access !== undefined && tokenOf(operation.access).sid !== change.opened)
      findings.report('D', operation, 'opened a second session in the place of one', details);
    if (replacements.isLate(change, operation))
      findings.report('A', operation, 'repeated a change of password later than the window', details);
    return;
  }
  if (!isTurnedAway(operation) || !isOwed(operation, change, world)) return;
  findings.report('B', operation, 'turned away who repeated a change of password within the window', details);
}

/**
 * Whether a repetition is owed the new session: it stands, and the token would be alive but for the change.
 *
 * @param {Operation} operation
 * @param {import('./replacements.js').Change} change
 * @param {World} world
 */
function isOwed(operation, change, world) {
  const { clock, tokenOf, sessionOf, lineageOf, sessions } = world;
  const token = tokenOf(operation.token);
  const lineage = lineageOf(token);
  const opened = sessions.get(change.opened ?? '');
  if (opened === undefined || lineage === null) return false;
  const hasEndOfItsOwn = [sessionOf(token), lineage].some(
    (mortal) => mortal.ends?.mayLieBetween(-Infinity, operation.end) === true || mayBeHeld(mortal, operation),
  );
  return (
    world.replacements.isWithin(change, operation) &&
    !hasEndOfItsOwn &&
    !mayHaveEndedOthers(opened.sid, operation, world) &&
    !world.mayHaveEnded(opened, operation) &&
    !clock.isPossiblyPast(Number(token.claims['exp']), operation)
  );
}

/**
 * Whether the new session may have ended all others, the one that it replaced among them: the change is not all that has ended that one.
 *
 * @param {string} opened
 * @param {Operation} before
 * @param {World} world
 */
function mayHaveEndedOthers(opened, { end }, { operations, tokenOf }) {
  return operations.some(
    ({ kind, outcome, token, start }) =>
      kind === 'logout-all' && outcome !== 'refused' && start < end && tokenOf(token).sid === opened,
  );
}
