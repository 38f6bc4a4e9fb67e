// @ts-check
// Who ended what: for each session and lineage the end that was acknowledged first, and from when on it may have ended.
import { createAccount, createRaises } from './accounts.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./accounts.js').Account} Account */
/** @typedef {import('./world.js').Mortal} Mortal */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./world.js').Subjects} Subjects */

/**
 * @param {Operation[]} operations
 * @param {Subjects} subjects
 */
export function readAccounts(operations, { tokenOf, sessionOf }) {
  /** @type {Map<string, { changes: Operation[], raises: import('./accounts.js').Raise[] }>} */
  const found = new Map();
  /** @type {import('./accounts.js').Raise[]} */
  const retired = [];
  for (const operation of operations) {
    if (operation.outcome === 'refused') continue;
    if (operation.kind === 'retire-key') retired.push({ operation, kept: null });
    const isByToken = operation.kind === 'logout-all';
    if (!isByToken && !['password', 'disable', 'enable'].includes(operation.kind)) continue;
    const caller = isByToken ? sessionOf(tokenOf(operation.token)) : null;
    const user = caller === null ? operation.user : caller.user;
    if (user === undefined || user === null) continue;
    const account = found.get(user) ?? { changes: [], raises: [] };
    found.set(user, account);
    if (!isByToken) account.changes.push(operation);
    const kept = caller !== null && operation.exceptCurrent === true ? caller.sid : null;
    if (operation.kind !== 'enable') account.raises.push({ operation, kept });
  }
  /** @type {Map<string, Account>} */
  const accounts = new Map();
  for (const [user, { changes, raises }] of found) accounts.set(user, createAccount(changes, raises));
  return { accounts, retirements: createRaises(retired) };
}

/**
 * @param {Operation[]} operations
 * @param {Map<string, Session>} sessions
 * @param {Subjects} subjects
 */
export function endSessions(operations, sessions, subjects) {
  for (const operation of operations) {
    const ended = targetOf(operation, sessions, subjects);
    if (ended === null) continue;
    ended.mayEndFrom = Math.min(ended.mayEndFrom, operation.start);
    const isAcknowledged = operation.outcome !== 'unknown';
    if (isAcknowledged) ended.ended = firstOf(ended.ended, operation);
  }
}

/**
 * What the operation alone ends, or may end.
 *
 * @param {Operation} operation
 * @param {Map<string, Session>} sessions
 * @param {Subjects} subjects
 * @returns {Mortal | null}
 */
function targetOf(operation, sessions, { tokenOf, sessionOf, lineageOf }) {
  const { kind, outcome } = operation;
  // The one refusal that ends something: theft.
  if (kind === 'refresh')
    return operation.error === 'refresh_reused' ? sessionOf(tokenOf(operation.token)) : null;
  if (outcome === 'refused') return null;
  if (kind === 'logout') return sessionOf(tokenOf(operation.token));
  if (kind === 'revoke') {
    const token = tokenOf(operation.token);
    return lineageOf(token) ?? sessionOf(token);
  }
  if (kind !== 'end-session') return null;
  const target = sessions.get(operation.sid ?? '') ?? null;
  return target?.user === sessionOf(tokenOf(operation.token)).user ? target : null;
}

/**
 * @param {Map<string, Session>} sessions
 * @param {Map<string, Account>} accounts
 * @param {ReturnType<typeof createRaises>} retirements
 */
export function endByAccounts(sessions, accounts, retirements) {
  for (const session of sessions.values()) {
    const { sid, login, user } = session;
    if (login === null) {
      session.mayEndFrom = -Infinity;
      continue;
    }
    const account = accounts.get(user ?? '');
    for (const raises of account === undefined ? [retirements] : [retirements, account]) {
      session.ended = firstOf(session.ended, raises.certainEnd(sid, login));
      session.mayEndFrom = Math.min(session.mayEndFrom, raises.possibleFrom(sid, login));
    }
    if (account === undefined) continue;
    session.ended = firstOf(session.ended, account.passwords.replacedAfterRead(login));
    session.ended = firstOf(session.ended, account.access.disabledAfterRead(login));
  }
}

/**
 * The one that was acknowledged first.
 *
 * @param {Operation | null} one
 * @param {Operation | null} other
 */
export function firstOf(one, other) {
  if (one === null || other === null) return one ?? other;
  return other.end < one.end ? other : one;
}
