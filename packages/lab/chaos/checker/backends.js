// @ts-check
// Rules B, G and I for what backends ask of their sessions: each finds its own as long as they live, and none of another
// client, even if both call their users the same.
//
// Certain because whose a session is never changes, and because a change is made to a session that stands, at one moment of its bracket.
import { firstOf } from './first-of.js';
import { mayComeBack } from './holds.js';
import { isOfAnother } from './said.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./findings.js').Findings} Findings */

/** How long after its natural end a session is remembered. */
const KEPT_SECONDS = 360;

/** Before the rule of resurrection: a change may have found something gone. @param {World} world @param {Findings} findings */
export function checkBackends(world, findings) {
  for (const operation of world.operations) {
    const { kind, outcome, sid = '' } = operation;
    if ((kind !== 'change' && kind !== 'client-end') || outcome === 'unknown') continue;
    const session = world.sessions.get(sid);
    if (session === undefined || session.login === null) continue;
    if (isOfAnother(operation, session)) {
      findings.apply('I', "other clients' sessions");
      if (outcome === 'ok')
        findings.report('I', operation, 'reached a session of another client', { session: sid });
    } else if (kind === 'change') checkChange(operation, session, world, findings);
    else checkEnd(operation, session, world, findings);
  }
}

/** @param {Operation} operation @param {Session} session @param {World} world @param {Findings} findings */
function checkChange(operation, session, { clock, mayHaveEnded }, findings) {
  const { sid, login, expiresAt } = session;
  const details = { session: sid };
  if (operation.outcome === 'ok') {
    if (clock.isSurelyPast(expiresAt, operation))
      findings.report('G', operation, 'changed a session past its end', details);
    return;
  }
  if (login === null || login.end >= operation.start || clock.isPossiblyPast(expiresAt, operation)) return;
  if (!mayHaveEnded(session, operation))
    findings.report('B', operation, 'did not find a session that nothing had ended', details);
  else if (!mayComeBack(session, operation)) session.foundGone = firstOf(session.foundGone, operation);
}

/** @param {Operation} operation @param {Session} session @param {World} world @param {Findings} findings */
function checkEnd(operation, { sid, login, expiresAt }, { clock }, findings) {
  if (login === null || login.end >= operation.start) return;
  if (clock.isPossiblyPast(expiresAt + KEPT_SECONDS, operation)) return;
  findings.apply('B', 'ends by clients');
  if (operation.outcome === 'refused')
    findings.report('B', operation, 'did not find a session of the client', { session: sid });
}
