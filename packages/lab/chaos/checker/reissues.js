// @ts-check
// Rule G for `Refreshed-API-Token`: the successor that the parent determines, when it is due, and not past the grace.
//
// Certain because a successor's claims are a function of its parent, and each of them is the answer in one stretch of the
// database's time: if that stretch and the bracket of the request do not meet, no moment explains the answer.
import { isDeepStrictEqual } from 'node:util';

import { isLetIn } from './sightings.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('../history.js').Rules} Rules */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

const CARRIERS = new Set(['introspect', 'session', 'list']);

/** @param {World} world @param {Findings} findings */
export function checkReissues(world, findings) {
  for (const operation of world.operations) {
    if (!CARRIERS.has(operation.kind) || operation.outcome === 'unknown') continue;
    const { reissued } = operation;
    if (reissued !== undefined && reissued !== null) checkHeader(operation, world, findings);
    else checkNoHeader(operation, world, findings);
  }
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkHeader(operation, { tokenOf, rules, clock }, findings) {
  const parent = tokenOf(operation.token);
  const successor = tokenOf(operation.reissued);
  const session = parent.sid;
  findings.apply('G', 'reissued', operation);
  const stretch = findStretch(parent, successor, rules);
  if (stretch === null) {
    findings.report('G', operation, 'the reissued token is not what its parent determines', { session });
    return;
  }
  const { least, most } = clock.secondsOf(operation);
  if (most < stretch.from) findings.report('G', operation, 'reissued before it was due', { session });
  if (least >= stretch.to) findings.report('G', operation, 'reissued after its time', { session });
}

/**
 * A token that surely stands, in all of the bracket within its window or its grace, has earned its successor.
 *
 * @param {Operation} operation
 * @param {World} world
 * @param {Findings} findings
 */
function checkNoHeader(operation, world, findings) {
  const { tokenOf, lineageOf, rules, clock } = world;
  const parent = tokenOf(operation.token);
  const lineage = lineageOf(parent);
  if (lineage === null) return;
  const isAccepted = isLetIn(operation) && operation.active !== false;
  if (!isAccepted && (!isTokenRefused(operation) || mayBeDead(operation, lineage, world))) return;
  const { iat, exp } = parent.claims;
  const { least, most } = clock.secondsOf(operation);
  const lastExp = findLastExp(parent.claims, rules);
  // What was accepted had not expired: then the bracket's end says nothing.
  const isDue = least >= exp - windowSeconds(iat, exp) && (isAccepted || most < exp + rules.grace);
  if (lastExp === exp || !isDue || (!isAccepted && most >= lastExp)) return;
  findings.apply('G', 'reissued', operation);
  findings.report('G', operation, 'was not reissued near its end', { session: parent.sid });
}

/** @param {Operation} operation @param {import('./world.js').Lineage} lineage @param {World} world */
function mayBeDead(operation, lineage, { mayHaveEnded, mayBeRevoked }) {
  return mayHaveEnded(lineage.session, operation) || mayBeRevoked(lineage, operation);
}

/** By the judgement of the token, and not of whoever asked. @param {Operation} operation */
function isTokenRefused({ outcome, error }) {
  return outcome === 'ok' || error === 'invalid_token';
}

/** When the last of those that it can become expires. @param {Record<string, any>} claims @param {Rules} rules @returns {number} */
function findLastExp(claims, rules) {
  const next = claimsOfSuccessor(claims, rules);
  return next === null ? claims['exp'] : findLastExp(next, rules);
}

/**
 * When the token is the answer to its ancestor, in seconds; null where it never is.
 *
 * @param {Token} parent
 * @param {Token} successor
 * @param {Rules} rules
 */
function findStretch(parent, successor, rules) {
  if (parent.type !== 'access' || successor.type !== 'access') return null;
  let claims = parent.claims;
  for (let steps = successor.generation - parent.generation; steps > 0; steps -= 1) {
    const next = claimsOfSuccessor(claims, rules);
    if (next === null) return null;
    claims = next;
  }
  if (claims === parent.claims || !isDeepStrictEqual(claims, successor.claims)) return null;
  const next = claimsOfSuccessor(claims, rules);
  // It is due from its `iat` on, until its own successor is, or until it has expired.
  const givesWayAt = next === null ? claims['exp'] : next['iat'];
  return { from: claims['iat'], to: Math.min(givesWayAt, parent.claims['exp'] + rules.grace) };
}

/**
 * Contract, section 2.
 *
 * @param {Record<string, any>} parent
 * @param {Rules} rules
 * @returns {Record<string, any> | null}
 */
function claimsOfSuccessor(parent, { reissueMax }) {
  const [lineage, generation] = String(parent['jti']).split('.');
  const iat = parent['exp'] - windowSeconds(parent['iat'], parent['exp']);
  const exp = Math.min(iat + parent['exp'] - parent['iat'], parent['session_exp']);
  if (Number(generation) >= reissueMax || exp <= parent['exp']) return null;
  return { ...parent, jti: `${lineage}.${Number(generation) + 1}`, iat, exp };
}

/** @param {number} iat @param {number} exp */
function windowSeconds(iat, exp) {
  const life = exp - iat;
  return Math.floor(Math.min(Math.max(0.2 * life, 30), 0.5 * life));
}
