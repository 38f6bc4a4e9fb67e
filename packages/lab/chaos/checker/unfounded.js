// @ts-check
// Rule B: whoever nothing has ended, and who has not expired, is not turned away.
//
// Certain because every cause leaves a trace: an end that began before the answer came, whether or not it was answered; a
// refresh without an answer that may have been theft; an `exp` that the database's clock may have reached by then.
import { hasSuccessor, isTurnedAway, sightings } from './sightings.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

/** How long after its natural end a session is remembered, and with it the key of its tokens. */
const KEPT_SECONDS = 360;

/** @param {World} world @param {Findings} findings */
export function checkUnfounded(world, findings) {
  for (const { operation, says, token, session, lineage } of sightings(world)) {
    if (token === null || lineage === null || (says !== 'active' && says !== 'inactive')) continue;
    if (world.clock.isPossiblyPast(Number(token.claims['exp']), operation)) continue;
    const mayHaveEnded = world.mayHaveEnded(session, operation) || world.mayBeRevoked(lineage, operation);
    // Whatever earned a successor stands, so an end is no excuse.
    if (mayHaveEnded && !(says === 'inactive' && hasSuccessor(operation))) continue;
    findings.apply('B', 'access tokens', operation);
    if (says === 'active') continue;
    const message = 'an access token was turned away though nothing had ended it and it had not expired';
    findings.report('B', operation, message, { session: session.sid });
  }
  for (const operation of world.operations) checkService(operation, world, findings);
}

/** What is refused to nobody with a token or credentials of ours. @param {Operation} operation @param {World} world @param {Findings} findings */
function checkService(operation, world, findings) {
  const { kind, outcome, status } = operation;
  if (outcome === 'unknown') return;
  if (kind === 'introspect' || kind === 'revoke') {
    if (isTurnedAway(operation)) findings.report('B', operation, `refused a client with status ${status}`);
  }
  if (kind === 'logout') checkLogout(operation, world, findings);
  if (kind === 'end-session' && status === 404) checkEndSession(operation, world, findings);
}

/**
 * A logout takes every token of ours, alive or not. After a key was retired its tokens are nobody's; and a key is forgotten
 * when no session is left that it served.
 *
 * @param {Operation} operation
 * @param {World} world
 * @param {Findings} findings
 */
function checkLogout(operation, { clock, retirements, tokenOf, sessionOf }, findings) {
  const { login, expiresAt, sid } = sessionOf(tokenOf(operation.token));
  if (login === null || retirements.mayEndBetween(sid, login.start, operation.end)) return;
  if (clock.isPossiblyPast(expiresAt + KEPT_SECONDS, operation)) return;
  findings.apply('B', 'logouts');
  if (isTurnedAway(operation)) findings.report('B', operation, 'refused a token of ours', { session: sid });
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkEndSession(operation, { accounts, clock, sessions, tokenOf, sessionOf }, findings) {
  const target = sessions.get(operation.sid ?? '');
  if (target === undefined || target.login === null || target.login.end >= operation.start) return;
  if (target.user !== sessionOf(tokenOf(operation.token)).user) return;
  // With a user who is deleted go the rows, perhaps between the look at the token and at this session.
  if (accounts.get(target.user ?? '')?.deletion.mayBeDone(operation) === true) return;
  if (clock.isPossiblyPast(target.expiresAt + KEPT_SECONDS, operation)) return;
  findings.report('B', operation, 'did not find a session of the user', { session: target.sid });
}
