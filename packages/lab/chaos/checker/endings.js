// @ts-check
// Who ended what: for each session and lineage the end that was acknowledged first, and when else it may have ended.
import { createAccount } from './accounts.js';
import { latestEffect } from './deadlines.js';
import { firstOf } from './first-of.js';
import { endsEverything, isOrder } from './holds.js';
import { createRaises } from './raises.js';
import { isOwnChange } from './replacements.js';
import { isOfAnother } from './said.js';
import { createSpans } from './spans.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./accounts.js').Account} Account */
/** @typedef {import('./raises.js').Raise} Raise */
/** @typedef {import('./world.js').Mortal} Mortal */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./world.js').Subjects} Subjects */

/** What ends all sessions of a user, and what lets a user in again. */
const CHANGES = new Set(['password', 'disable', 'enable', 'delete']);
const ENDS_ALL = new Set(['password', 'disable', 'delete', 'client-end-all']);

/**
 * @param {Operation[]} operations
 * @param {Subjects} subjects
 * @param {import('./replacements.js').Replacements} replacements
 */
export function readAccounts(operations, { tokenOf, sessionOf }, { changes }) {
  /** @type {Map<string, { changes: Operation[], raises: Raise[], logins: Operation[] }>} */
  const found = new Map();
  /** @type {Raise[]} */
  const retired = [];
  /** @type {Raise[]} */
  const everybody = [];
  /** @param {string | null | undefined} user */
  const accountOf = (user) => {
    const name = user ?? '';
    const account = found.get(name) ?? { changes: [], raises: [], logins: [] };
    found.set(name, account);
    return account;
  };
  for (const { operation, opened } of changes) {
    accountOf(operation.user).changes.push(operation);
    // It ends the session that asked, too: another has its place.
    accountOf(operation.user).raises.push({ operation, kept: opened });
  }
  for (const operation of operations) {
    const { kind, outcome, user } = operation;
    if (outcome === 'refused' || isOwnChange(operation)) continue;
    if (kind === 'login' && outcome === 'ok') accountOf(user).logins.push(operation);
    if (kind === 'retire-key') retired.push({ operation, kept: null });
    if (kind === 'retire-key' || endsEverything(operation)) everybody.push({ operation, kept: null });
    if (CHANGES.has(kind)) accountOf(user).changes.push(operation);
    if (ENDS_ALL.has(kind)) accountOf(user).raises.push({ operation, kept: null });
    if (isOrder(operation) && operation.by === 'user_ids')
      for (const name of new Set(operation.users)) accountOf(name).raises.push({ operation, kept: null });
    if (kind !== 'logout-all') continue;
    const caller = sessionOf(tokenOf(operation.token));
    const kept = operation.exceptCurrent === true ? caller.sid : null;
    if (caller.user !== null) accountOf(caller.user).raises.push({ operation, kept });
  }
  /** @type {Map<string, Account>} */
  const accounts = new Map();
  for (const [user, about] of found) accounts.set(user, createAccount(about));
  return { accounts, retirements: createRaises(retired), upheavals: createRaises(everybody) };
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
    const isAcknowledged = operation.outcome !== 'unknown';
    const until = isAcknowledged ? operation.end : latestEffect(operation);
    addEnd(ended, { from: operation.start, until, of: operation });
    if (isAcknowledged) ended.ended = firstOf(ended.ended, operation);
  }
}

/** @param {Mortal} mortal @param {import('./spans.js').Span} span in which it may have ended */
function addEnd(mortal, span) {
  mortal.ends ??= createSpans();
  mortal.ends.add(span);
  mortal.finals ??= createSpans();
  mortal.finals.add({ ...span, tag: tagOf(span.of) });
}

/** By which the end that an operation has made is told from all others. @param {Operation} operation */
export function tagOf({ id }) {
  return `operation ${id}`;
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
  if (kind !== 'end-session' && kind !== 'client-end') return null;
  const target = sessions.get(operation.sid ?? '') ?? null;
  if (kind === 'client-end') return target === null || isOfAnother(operation, target) ? null : target;
  return target?.user === sessionOf(tokenOf(operation.token)).user ? target : null;
}

/**
 * @param {Map<string, Session>} sessions
 * @param {Map<string, Account>} accounts
 * @param {ReturnType<typeof createRaises>} upheavals
 */
export function endByAccounts(sessions, accounts, upheavals) {
  for (const session of sessions.values()) {
    const { sid, login, user } = session;
    if (login === null) continue;
    session.ended = firstOf(session.ended, upheavals.certainEnd(sid, login));
    const account = accounts.get(user ?? '');
    if (account === undefined) continue;
    session.ended = firstOf(session.ended, account.certainEnd(sid, login));
    session.ended = firstOf(session.ended, account.passwords.replacedAfterRead(login));
    session.ended = firstOf(session.ended, account.access.disabledAfterRead(login));
    // Whichever came first: nobody is let in afterwards.
    session.ended = firstOf(session.ended, account.deletion.done);
  }
}
