// @ts-check
// The history by whom it is about: sessions, lineages and users, each with when it surely ended and when it may have.
import { createClock } from './clock.js';
import { latestEffect } from './deadlines.js';
import { endByAccounts, endSessions, readAccounts } from './endings.js';
import { holdByOrders, isOrder, rowsOfOrders } from './holds.js';
import { createLeastAfter } from './least-after.js';
import { createMortality } from './mortality.js';
import { createReplacements, isOwnChange } from './replacements.js';
import { createRotations, NO_ROTATIONS } from './rotations.js';
import { createSaid, endBySayings } from './said.js';
import { createScopes, endByScopes } from './scopes.js';
import { sightings } from './sightings.js';
import { createSpans } from './spans.js';
import { createWindows } from './windows.js';

/** @typedef {import('../history.js').History} History */
/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./rotations.js').Rotations} Rotations */

/**
 * What can be ended.
 *
 * @typedef {object} Mortal
 * @property {Operation | null} ended the end that was acknowledged first
 * @property {import('./spans.js').Spans | null} ends when it may have ended, for good as far as anybody was told, by something that was done to it alone
 * @property {import('./spans.js').Spans | null} finals those of them that no lift can undo, tagged by what has done it
 * @property {import('./holds.js').Hold[]} holds ends of operators, which can be lifted
 * @property {boolean} isNamed whether an order may have written a row for it
 * @property {number[]} seenAlive starts of the answers that say it lived, in ascending order
 * @property {Operation | null} foundGone the first answer that nothing but its end explains
 */

/**
 * @typedef {Mortal & {
 *   sid: string,
 *   login: Operation | null,
 *   user: string | null,
 *   expiresAt: number,
 *   rotations: Rotations,
 *   thefts: import('./spans.js').Spans | null,
 * }} Session `expiresAt` in seconds since 1970; `login` is the login, the new password or the request of a backend that opened it, null where no answer to
 * one has told of it
 */

/** @typedef {Mortal & { session: Session, outdated: Operation | null }} Lineage of access tokens; `outdated` by other claims of the user or of the session */

/** @typedef {ReturnType<typeof createWorld>} World */

/** @param {History} told its operations in any order */
export function createWorld(told) {
  const { tokens, rules } = told;
  const history = { ...told, operations: doubtChanges(told, tokenOf) };
  const { operations } = history;
  const clock = createClock(history);
  const windows = createWindows(history, clock);
  const replacements = createReplacements(history, windows, tokenOf);
  const sessions = openSessions(history, replacements);
  /** @type {Map<string, Lineage>} */
  const lineages = new Map();
  /** @type {{ token: Token, lineage: Lineage }[]} */
  const firsts = [];
  const lineageOfToken = tokens.map((token) => {
    if (token.type === 'refresh') return null;
    const known = lineages.get(token.lineage);
    if (known !== undefined) return known;
    const fresh = { session: sessionOf(sessions, token.sid), outdated: null, ...createMortal() };
    lineages.set(token.lineage, fresh);
    firsts.push({ token, lineage: fresh });
    return fresh;
  });
  const sessionOfToken = tokens.map(({ sid }) => sessionOf(sessions, sid));

  /** @param {number | null | undefined} id */
  function tokenOf(id) {
    const token = typeof id === 'number' ? tokens[id] : undefined;
    if (token === undefined) throw new Error(`the history has no token ${id}`);
    return token;
  }

  const subjects = {
    tokenOf,
    /** @param {Token} token @returns {Session} */
    sessionOf: ({ id }) => /** @type {Session} */ (sessionOfToken[id]),
    /** Null for a refresh token. @param {Token} token @returns {Lineage | null} */
    lineageOf: ({ id }) => lineageOfToken[id] ?? null,
  };
  addRotations(history, clock, subjects);
  const { accounts, retirements, upheavals } = readAccounts(operations, subjects, replacements);
  endSessions(operations, sessions, subjects);
  endByAccounts(sessions, accounts, upheavals);
  holdByOrders(history, sessions, lineages, subjects);
  const scopes = createScopes(operations);
  endByScopes(firsts, scopes);
  const sayings = createSaid(operations, sessions, tokenOf);
  endBySayings(firsts, sayings);

  const rows = rowsOfOrders(operations);
  const kills = operations.filter(({ isKill }) => isKill === true);
  const world = {
    ...history,
    ...subjects,
    ...createMortality({ accounts, upheavals, windowMs: 1000 * rules.replayWindow - clock.slackMs }),
    clock,
    sessions,
    lineages,
    scopes,
    sayings,
    accounts,
    /** Of keys, whose tokens are nobody's then. */
    retirements,
    /** Those, and all else that ends every session of everybody. */
    upheavals,
    kills,
    /** What an order has written, by target; null where nobody was shown it. @param {string | undefined} ending */
    rowsOf: (ending) => rows.get(ending ?? '') ?? null,
    windows,
    replacements,
    /** Of the kills that were over after a moment the one that began first. */
    firstKillAfter: createLeastAfter(
      kills.map((kill) => ({ at: kill.end, value: kill.start, tag: null, of: kill })),
    ),
  };
  noteLife(world, [...sessions.values(), ...lineages.values()]);
  return world;
}

/** @typedef {{ tokenOf: (id: number | null | undefined) => Token, sessionOf: (token: Token) => Session, lineageOf: (token: Token) => Lineage | null }} Subjects */

const SAYS_ALIVE = new Set(['active', 'stands', 'lives']);

/** @param {World} world @param {Mortal[]} mortals all there are */
function noteLife(world, mortals) {
  for (const { operation, says, session, lineage } of sightings(world)) {
    if (!SAYS_ALIVE.has(says)) continue;
    session.seenAlive.push(operation.start);
    lineage?.seenAlive.push(operation.start);
  }
  // What was minted had not ended before that was asked for: no change of claims from before ends it.
  for (const { outcome, access, start } of world.operations)
    if (outcome === 'ok' && access !== undefined)
      world.lineageOf(world.tokenOf(access))?.seenAlive.push(start);
  for (const { seenAlive } of mortals) seenAlive.sort((a, b) => a - b);
}

/**
 * By logins, by backends, and by new passwords in the place of others.
 *
 * @param {History} history
 * @param {import('./replacements.js').Replacements} replacements
 * @returns {Map<string, Session>}
 */
function openSessions({ operations, tokens }, { changes }) {
  /** @type {Map<string, Session>} */
  const sessions = new Map();
  const logins = operations.filter(
    ({ kind, outcome }) => (kind === 'login' || kind === 'open') && outcome === 'ok',
  );
  const opened = changes.flatMap(({ operation, opened: sid }) => (sid === null ? [] : [operation]));
  for (const operation of [...opened, ...logins]) {
    const token = tokens[operation.access ?? -1];
    if (token === undefined) throw new Error(`login ${operation.id} was answered without a token`);
    const session = sessionOf(sessions, token.sid);
    session.login = operation;
    session.user = operation.user ?? null;
    session.expiresAt = Number(token.claims['session_exp']);
  }
  return sessions;
}

/**
 * Of a session whose login is not known anything may be: it may have ended at any time, and expired.
 *
 * @param {Map<string, Session>} sessions
 * @param {string} sid
 * @returns {Session}
 */
function sessionOf(sessions, sid) {
  const known = sessions.get(sid);
  if (known !== undefined) return known;
  /** @type {Session} */
  const session = {
    sid,
    login: null,
    user: null,
    expiresAt: -Infinity,
    rotations: NO_ROTATIONS,
    thefts: null,
    ...createMortal(),
  };
  sessions.set(sid, session);
  return session;
}

/** @returns {Mortal} */
function createMortal() {
  return { ended: null, ends: null, finals: null, holds: [], isNamed: false, seenAlive: [], foundGone: null };
}

/**
 * Where an operator ends the session while the user changes the password, the change may have been made, and its answer is a no all
 * the same: the session in its place has been ended at once. So such a no tells nothing.
 *
 * @param {History} history
 * @param {(id: number | null | undefined) => Token} tokenOf
 * @returns {Operation[]}
 */
function doubtChanges({ operations }, tokenOf) {
  const orders = operations.filter(isOrder);
  if (orders.length === 0) return operations;
  return operations.map((operation) => {
    if (!isOwnChange(operation) || operation.error !== 'invalid_token') return operation;
    const { start, end, token } = operation;
    const { sid, lineage } = tokenOf(token);
    const mayHaveMet = orders.some(
      (order) =>
        order.start < end && latestEffect(order) > start && mayName(order, { sid, lineage }, tokenOf),
    );
    return mayHaveMet ? { ...operation, outcome: /** @type {const} */ ('unknown') } : operation;
  });
}

/** @param {Operation} order @param {{ sid: string, lineage: string }} asking @param {(id: number | null | undefined) => Token} tokenOf */
function mayName(order, { sid, lineage }, tokenOf) {
  if (order.by === 'session_ids') return order.sids?.includes(sid) === true;
  if (order.by === 'jti') return order.lineage === sid || order.lineage === lineage;
  if (order.by === 'token') return [sid, lineage].includes(tokenOf(order.token).lineage);
  return order.by !== 'user_ids' && order.by !== 'now';
}

/**
 * @param {History} history
 * @param {import('./clock.js').Clock} clock
 * @param {Subjects} subjects
 */
function addRotations({ operations, rules }, clock, { tokenOf, sessionOf }) {
  /** @type {Map<Session, { operation: Operation, generation: number, successor: Token | null }[]>} */
  const refreshes = new Map();
  for (const operation of operations) {
    if (operation.kind !== 'refresh' || operation.outcome === 'refused') continue;
    const token = tokenOf(operation.token);
    const successor = operation.outcome === 'ok' ? tokenOf(operation.refresh) : null;
    const session = sessionOf(token);
    const own = refreshes.get(session) ?? [];
    own.push({ operation, generation: token.generation, successor });
    refreshes.set(session, own);
  }
  for (const [session, own] of refreshes) {
    session.rotations = createRotations(own, clock, rules);
    for (const span of session.rotations.thefts) (session.thefts ??= createSpans()).add(span);
  }
}
