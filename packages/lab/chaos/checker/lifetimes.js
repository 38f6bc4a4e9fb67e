// @ts-check
// Rule G for what is minted and how long it counts: claims follow from the rules and the database's clock, and `exp` is the end.
//
// Certain because `iat` is the database's time at a moment within the bracket, cut to the second, and all other times follow
// from it; and because a token is taken for expired only where the whole bracket lies past its `exp`.
import { FIRST_PARTY } from '../subjects.js';
import { isOwnChange } from './replacements.js';
import { sightings } from './sightings.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

/** @param {World} world @param {Findings} findings */
export function checkLifetimes(world, findings) {
  for (const operation of world.operations) {
    if (operation.outcome !== 'ok') continue;
    if (operation.kind === 'login' || operation.kind === 'open') checkLogin(operation, world, findings);
    if (operation.kind === 'refresh') checkRefresh(operation, world, findings);
    if (operation.kind === 'reauthenticate') checkStepped(operation, world, findings);
    if (isOwnChange(operation) && operation.access !== undefined) checkOpened(operation, world, findings);
  }
  for (const { operation, says, token, session } of sightings(world)) {
    if (token === null || says === 'lives' || says === 'gone' || says === 'stands') continue;
    if (says === 'active' && token.type === 'refresh')
      findings.report('G', operation, 'a refresh token was taken for an access token', {
        session: session.sid,
      });
    if (!world.clock.isSurelyPast(Number(token.claims['exp']), operation)) continue;
    findings.apply('G', 'expired');
    if (says === 'active')
      findings.report('G', operation, 'accepted a token past its exp', { session: session.sid });
  }
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkLogin(operation, { clock, rules, tokenOf }, findings) {
  const access = tokenOf(operation.access);
  const refresh = tokenOf(operation.refresh);
  const { least, most } = clock.secondsOf(operation);
  const iat = Number(refresh.claims['iat']);
  const expiresAt = iat + rules.sessionTtl;
  findings.apply('G', 'minted');
  const wrong =
    findWrongTime('iat', iat, least, most) ??
    findWrongAccess(access, rules, { authTime: authTimeOf(access, iat), expiresAt }) ??
    findWrongTime('iat', Number(access.claims['iat']), least, most) ??
    findWrongMint(refresh, {
      type: 'refresh',
      generation: 0,
      life: rules.refreshTtl,
      authTime: iat,
      expiresAt,
    });
  if (wrong !== null) findings.report('G', operation, wrong, { session: refresh.sid });
}

/**
 * A successor was made when its parent was rotated, which may have been an earlier request; the access token is new.
 *
 * @param {Operation} operation
 * @param {World} world
 * @param {Findings} findings
 */
function checkRefresh(operation, { clock, rules, tokenOf, sessionOf }, findings) {
  const parent = tokenOf(operation.token);
  const access = tokenOf(operation.access);
  const refresh = tokenOf(operation.refresh);
  const { least, most } = clock.secondsOf(operation);
  const rotatedFrom = sessionOf(parent).rotations.firstStartOf(parent.generation);
  const earliest = clock.secondsOf({ start: rotatedFrom, end: rotatedFrom }).least;
  const authTime = Number(parent.claims['auth_time']);
  const expiresAt = Number(parent.claims['session_exp']);
  findings.apply('G', 'minted');
  const wrong =
    findWrongTime('iat', Number(refresh.claims['iat']), earliest, most) ??
    findWrongTime('iat', Number(access.claims['iat']), least, most) ??
    findWrongPair({ access, refresh }, rules, { authTime, expiresAt });
  if (wrong !== null) findings.report('G', operation, wrong, { session: refresh.sid });
}

/**
 * A session in the place of another was opened when the password was changed, which may have been an earlier request. It ends
 * when the other one would have; its refresh token is the one that is current.
 *
 * @param {Operation} operation
 * @param {World} world
 * @param {Findings} findings
 */
function checkOpened(operation, { clock, rules, tokenOf, sessionOf }, findings) {
  const access = tokenOf(operation.access);
  const refresh = tokenOf(operation.refresh);
  const { login } = sessionOf(refresh);
  const first = tokenOf(login?.access ?? operation.access);
  const { least, most } = clock.secondsOf(operation);
  const earliest = clock.secondsOf({ start: login?.start ?? operation.start, end: operation.end }).least;
  const authTime = Number(first.claims['auth_time']);
  const expiresAt = Number(tokenOf(operation.token).claims['session_exp']);
  findings.apply('G', 'minted');
  const wrong =
    findWrongTime('auth_time', authTime, earliest, most) ??
    findWrongTime('iat', Number(refresh.claims['iat']), earliest, most) ??
    findWrongTime('iat', Number(access.claims['iat']), least, most) ??
    findWrongPair({ access, refresh }, rules, { authTime, expiresAt });
  if (wrong !== null) findings.report('G', operation, wrong, { session: refresh.sid });
}

/**
 * The password was given once more: it says so of the moment at which the token was minted.
 *
 * @param {Operation} operation
 * @param {World} world
 * @param {Findings} findings
 */
function checkStepped(operation, { clock, rules, tokenOf }, findings) {
  const access = tokenOf(operation.access);
  const { least, most } = clock.secondsOf(operation);
  const iat = Number(access.claims['iat']);
  const expiresAt = Number(tokenOf(operation.token).claims['session_exp']);
  findings.apply('G', 'minted');
  const wrong =
    findWrongTime('iat', iat, least, most) ?? findWrongAccess(access, rules, { authTime: iat, expiresAt });
  if (wrong !== null) findings.report('G', operation, wrong, { session: access.sid });
}

/** What the access tokens of a session tell; of a backend's it is for rules A and I. @param {Token} access @param {number} ofSession */
function authTimeOf({ claims }, ofSession) {
  return claims['client_id'] === FIRST_PARTY ? ofSession : Number(claims['auth_time']);
}

/** @param {string} claim @param {number} value @param {number} least @param {number} most */
function findWrongTime(claim, value, least, most) {
  const isRight = value >= Math.floor(least) && value <= Math.floor(most);
  return isRight ? null : `${claim} ${value} is not between ${Math.floor(least)} and ${Math.floor(most)}`;
}

/**
 * @param {{ access: Token, refresh: Token }} pair of an access token that is new and a refresh token of any generation
 * @param {import('../history.js').Rules} rules
 * @param {{ authTime: number, expiresAt: number }} session
 */
function findWrongPair({ access, refresh }, rules, session) {
  const { generation } = refresh;
  const authTime = authTimeOf(access, session.authTime);
  return (
    findWrongAccess(access, rules, { ...session, authTime }) ??
    findWrongMint(refresh, { type: 'refresh', generation, life: rules.refreshTtl, ...session })
  );
}

/** @param {Token} access that is new @param {import('../history.js').Rules} rules @param {{ authTime: number, expiresAt: number }} times */
function findWrongAccess(access, { accessTtl }, times) {
  return findWrongMint(access, { type: 'access', generation: 0, life: accessTtl, ...times });
}

/**
 * @param {Token} token
 * @param {{ type: Token['type'], generation: number, life: number, authTime: number, expiresAt: number }} expected
 */
function findWrongMint({ type, generation, claims }, expected) {
  if (type !== expected.type) return `minted a token of type ${type} in the place of ${expected.type}`;
  if (generation !== expected.generation) return `minted generation ${generation}`;
  const { iat, exp, auth_time: authTime, session_exp: expiresAt } = claims;
  if (exp > expiresAt) return `minted an exp ${exp} past session_exp ${expiresAt}`;
  if (authTime !== expected.authTime || expiresAt !== expected.expiresAt)
    return `minted auth_time ${authTime} and session_exp ${expiresAt}`;
  if (exp !== Math.min(iat + expected.life, expiresAt)) return `minted exp ${exp} for iat ${iat}`;
  return null;
}
