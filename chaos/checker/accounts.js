// @ts-check
// What was done to a user as a whole: ends of all sessions, passwords, disabling and enabling; with what is certain of each.
import { latestEffect } from './deadlines.js';
import { groupBy } from './group.js';
import { createLeastAfter } from './least-after.js';
import { createSpans } from './spans.js';

/** @typedef {import('../history.js').Operation} Operation */

/**
 * Something that ends all sessions of a user that were opened before: it raises an epoch.
 *
 * @typedef {object} Raise
 * @property {Operation} operation
 * @property {string | null} kept the session that it leaves alone
 */

/** @param {Operation[]} operations */
const okOf = (operations) => operations.filter(({ outcome }) => outcome === 'ok');

/** @param {Raise[]} raises refused ones left out */
export function createRaises(raises) {
  const firstCertain = createLeastAfter(
    raises
      .filter(({ operation }) => operation.outcome === 'ok')
      .map(({ operation, kept }) => ({
        at: operation.start,
        value: operation.end,
        tag: kept,
        of: operation,
      })),
  );
  const possible = createSpans();
  for (const { operation, kept } of raises)
    possible.add({ from: operation.start, until: latestEffect(operation), tag: kept, of: operation });
  return {
    /**
     * The first acknowledged one that surely ends the session. A login stores the epoch that it reads: it has read it by
     * its end, so whatever begins after that end raises the epoch beyond it.
     *
     * @param {string} sid
     * @param {Operation} login
     */
    certainEnd: (sid, login) => firstCertain(login.end, sid)?.of ?? null,

    /**
     * Whether one may have ended the session after a moment at which it lived, or at which its login had not begun, and
     * before another. One that surely took effect before the login began was read by it.
     *
     * @param {string} sid
     * @param {number} after
     * @param {number} before
     */
    mayEndBetween: (sid, after, before) => possible.mayLieBetween(after, before, sid),

    /** Whether one may take effect within the bracket. @param {{ start: number, end: number }} bracket */
    mayTouch: ({ start, end }) => possible.mayLieBetween(start, end),
  };
}

/**
 * @param {object} about one user
 * @param {Operation[]} about.changes `password`, `disable`, `enable`, refused ones left out
 * @param {Raise[]} about.raises
 * @param {Operation[]} about.logins that were let in: they show which password was in force, and that the user was enabled
 *
 * @typedef {ReturnType<typeof createAccount>} Account
 */
export function createAccount({ changes, raises, logins }) {
  const of = (/** @type {string} */ kind) => changes.filter((change) => change.kind === kind);
  return {
    ...createRaises(raises),
    passwords: createPasswords(of('password'), logins),
    access: createAccess(of('disable'), of('enable'), logins),
  };
}

/**
 * The latest start among what was over before a moment: it shows something at its moment, or brings it about.
 *
 * @param {Operation[]} shows
 */
function createLatestShown(shows) {
  const latest = createLeastAfter(
    shows.map((one) => ({ at: -one.end, value: -one.start, tag: null, of: one })),
  );
  return (/** @type {number} */ moment) => -(latest(-moment)?.value ?? Infinity);
}

/** @param {Operation[]} changes @param {Operation[]} logins */
function createPasswords(changes, logins) {
  const replaced = createLeastAfter(
    okOf(changes).map((change) => ({
      at: change.start,
      value: change.end,
      tag: change.password,
      of: change,
    })),
  );
  const others = createLeastAfter(
    changes.map((change) => ({
      at: -change.start,
      value: -latestEffect(change),
      tag: change.password,
      of: change,
    })),
  );
  const setters = groupBy(changes, ({ password }) => password);
  const shown = new Map(
    [...groupBy([...okOf(changes), ...logins], ({ password }) => password)].map(([password, shows]) => [
      password,
      createLatestShown(shows),
    ]),
  );
  return {
    /**
     * The first change to another password that was surely made after the login read this one: no change to this one can
     * have come after it. The login then holds an epoch that the change raised.
     *
     * @param {Operation} login accepted
     */
    replacedAfterRead: ({ password }) => {
      const latest = (setters.get(password) ?? []).map(latestEffect);
      return replaced(Math.max(-Infinity, ...latest), password)?.of ?? null;
    },

    /** Whether the password can have been set at all by the time of the login's end. @param {Operation} login */
    canBeSet: ({ password, end }) =>
      password === 0 || (setters.get(password) ?? []).some(({ start }) => start < end),

    /** Whether the password was surely this one in all of the login's bracket. @param {Operation} login */
    isSurelyRight: ({ password, start, end }) => {
      const other = others(-end, password);
      if (password === 0 && other === null) return true;
      const latestOther = other === null ? -Infinity : -other.value;
      return (shown.get(password)?.(start) ?? -Infinity) > latestOther;
    },
  };
}

/**
 * @param {Operation[]} disables
 * @param {Operation[]} enables
 * @param {Operation[]} logins
 */
function createAccess(disables, enables, logins) {
  const firstDisable = createLeastAfter(
    okOf(disables).map((disable) => ({
      at: disable.start,
      value: disable.end,
      tag: null,
      of: disable,
    })),
  );
  const latestOf = (/** @type {Operation[]} */ operations) =>
    createLeastAfter(
      operations.map((operation) => ({
        at: -operation.start,
        value: -latestEffect(operation),
        tag: null,
        of: operation,
      })),
    );
  const latestEnable = latestOf(enables);
  const latestDisable = latestOf(disables);
  const enabledBy = createLatestShown([...okOf(enables), ...logins]);
  return {
    /**
     * The first disabling that surely came after the login found the user enabled: no enabling can have come between.
     *
     * @param {Operation} login accepted
     */
    disabledAfterRead: ({ end }) => {
      const enabled = latestEnable(-end);
      return firstDisable(enabled === null ? -Infinity : -enabled.value)?.of ?? null;
    },

    /** Whether the user was surely enabled in all of the login's bracket. @param {Operation} login */
    isSurelyEnabled: ({ start, end }) => {
      const disabled = latestDisable(-end);
      return disabled === null || enabledBy(start) > -disabled.value;
    },
  };
}
