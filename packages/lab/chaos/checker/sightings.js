// @ts-check
// What an answer tells of a token or a session: each such thing that it tells is a sighting.

import { isOwnChange } from './replacements.js';
import { isOfAnother } from './said.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./world.js').Lineage} Lineage */
/** @typedef {import('./world.js').World} World */

/**
 * - `active`: the token was accepted
 * - `stands`: it earned a successor, so nothing has ended it, whether or not it has expired
 * - `lives`: its session was acted upon or listed
 * - `inactive`: the access token was not accepted, for whatever reason
 * - `gone`: the refresh token was not even known
 *
 * @typedef {object} Sighting
 * @property {Operation} operation
 * @property {'active' | 'stands' | 'lives' | 'inactive' | 'gone'} says
 * @property {Token | null} token null where it is about another session than the token's
 * @property {Session} session
 * @property {Lineage | null} lineage null where it is about the session alone
 */

/** Not about the token at all. */
const TOO_MANY_REQUESTS = 429;
const NOT_FOUND = 404;

/**
 * Whether the answer says no to the token that was sent. 404 is said to whoever was let in.
 *
 * @param {Operation} operation
 */
export function isTurnedAway({ outcome, status }) {
  return outcome === 'refused' && status !== TOO_MANY_REQUESTS && status !== NOT_FOUND;
}

const BEARERS = new Set(['session', 'list', 'logout-all', 'end-session', 'password', 'reauthenticate']);

/** What only those are told who were let in. */
const TOLD_INSIDE = new Set(['not_found', 'invalid_credentials', 'insufficient_user_authentication']);

/** @param {World} world @returns {Generator<Sighting, void>} */
export function* sightings(world) {
  for (const operation of world.operations) {
    if (operation.outcome === 'unknown') continue;
    if (operation.kind === 'introspect') yield* ofIntrospection(operation, world);
    else if (operation.kind === 'refresh') yield* ofRefresh(operation, world);
    else if (BEARERS.has(operation.kind) && operation.token !== undefined) yield* ofBearer(operation, world);
    if (operation.kind === 'list') yield* ofList(operation, world);
    if (operation.kind === 'lift') yield* ofLift(operation, world);
    if (operation.kind === 'change') yield* ofChange(operation, world);
  }
}

/** @param {Operation} operation @param {World} world */
function* ofIntrospection(operation, world) {
  const token = world.tokenOf(operation.token);
  // Of a refresh token it always says no, and nothing follows from that.
  if (operation.outcome !== 'ok' || (token.type === 'refresh' && operation.active !== true)) return;
  yield* ofToken(operation, token, operation.active === true, world);
}

/** Whether the token of a bearer was taken. @param {Operation} operation */
export function isLetIn({ outcome, error }) {
  return outcome === 'ok' || TOLD_INSIDE.has(error ?? '');
}

/** @param {Operation} operation @param {World} world */
function* ofBearer(operation, world) {
  const isTaken = isLetIn(operation);
  if (!isTaken && !isTurnedAway(operation)) return;
  if (isOwnChange(operation)) yield* ofOpened(operation, world);
  // Also said to a token that has asked for a new password before and is dead since.
  if (isTaken && isOwnChange(operation) && world.replacements.mayRepeat(operation)) return;
  yield* ofToken(operation, world.tokenOf(operation.token), isTaken, world);
}

/** The session in the place of the one that asked. @param {Operation} operation @param {World} world @returns {Generator<Sighting, void>} */
function* ofOpened(operation, { tokenOf, sessionOf }) {
  if (operation.access === undefined) return;
  const session = sessionOf(tokenOf(operation.access));
  yield { operation, says: 'lives', token: null, session, lineage: null };
}

/**
 * @param {Operation} operation
 * @param {Token} token
 * @param {boolean} isActive
 * @param {World} world
 * @returns {Generator<Sighting, void>}
 */
function* ofToken(operation, token, isActive, world) {
  const about = { operation, token, session: world.sessionOf(token), lineage: world.lineageOf(token) };
  yield { ...about, says: isActive ? 'active' : 'inactive' };
  if (!isActive && hasSuccessor(operation)) yield { ...about, says: 'stands' };
}

/** @param {Operation} operation */
export function hasSuccessor({ reissued }) {
  return reissued !== undefined && reissued !== null;
}

const SPEAKS_OF_LIVING = new Set(['refresh_superseded', 'refresh_reused']);

/** Whether a refresh found its session's row: these two refusals are said of living sessions alone. @param {Operation} operation */
export function tellsOfLife({ outcome, error }) {
  return outcome === 'ok' || SPEAKS_OF_LIVING.has(error ?? '');
}

/** @param {Operation} operation @param {World} world @returns {Generator<Sighting, void>} */
function* ofRefresh(operation, world) {
  if (operation.outcome === 'refused' && !isTurnedAway(operation)) return;
  const token = world.tokenOf(operation.token);
  // Also said of a session that a new password has replaced: it tells nothing then.
  if (operation.error === 'refresh_superseded' && world.replacements.mayBeRecent(token.sid, operation))
    return;
  const says = tellsOfLife(operation) ? 'lives' : 'gone';
  yield { operation, says, token, session: world.sessionOf(token), lineage: null };
}

/** @param {Operation} operation @param {World} world @returns {Generator<Sighting, void>} */
function* ofList(operation, world) {
  for (const sid of operation.sids ?? []) {
    const session = world.sessions.get(sid);
    // One that no answer has told of: its login's answer was lost.
    if (session === undefined || session.login === null) continue;
    yield { operation, says: 'lives', token: null, session, lineage: null };
  }
}

/** Of a session it says whether it stands now. @param {Operation} operation @param {World} world @returns {Generator<Sighting, void>} */
function* ofLift(operation, world) {
  const session = world.sessions.get(operation.target ?? '');
  if (operation.outcome !== 'ok' || operation.rowKind !== 'session' || session === undefined) return;
  yield {
    operation,
    says: operation.restored === true ? 'lives' : 'gone',
    token: null,
    session,
    lineage: null,
  };
}

/** A backend's: it is made to what stands. @param {Operation} operation @param {World} world @returns {Generator<Sighting, void>} */
function* ofChange(operation, world) {
  const session = world.sessions.get(operation.sid ?? '');
  if (session === undefined || session.login === null || isOfAnother(operation, session)) return;
  yield {
    operation,
    says: operation.outcome === 'ok' ? 'lives' : 'gone',
    token: null,
    session,
    lineage: null,
  };
}
