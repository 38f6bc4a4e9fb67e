// @ts-check
// What was done to a user as a whole: ends of all sessions, passwords, disabling, enabling and deletion; with what is certain of each.
import { latestEffect } from './deadlines.js';
import { firstOf } from './first-of.js';
import { groupBy } from './group.js';
import { createLeastAfter } from './least-after.js';
import { createRaises } from './raises.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./raises.js').Raise} Raise */

/** @param {Operation[]} operations */
const okOf = (operations) => operations.filter(({ outcome }) => outcome === 'ok');

/**
 * @param {object} about one user
 * @param {Operation[]} about.changes `password`, `disable`, `enable`, `delete`, refused ones left out
 * @param {Raise[]} about.raises
 * @param {Operation[]} about.logins that were let in: they show which password was in force, and that the user was enabled
 *
 * @typedef {ReturnType<typeof createAccount>} Account
 */
export function createAccount({ changes, raises, logins }) {
  const of = (/** @type {string} */ kind) => changes.filter((change) => change.kind === kind);
  const until = createUntil(of('password'));
  return {
    ...createRaises(raises, until),
    passwords: createPasswords(of('password'), logins, until),
    access: createAccess([...of('disable'), ...of('delete')], of('enable'), logins),
    deletion: createDeletion(of('delete')),
  };
}

/**
 * A user's own change hashes twice, for which there is no deadline. But it proves a password, and takes effect only where
 * that one is still in force: never after it was surely replaced for good.
 *
 * @param {Operation[]} changes of the password
 * @returns {(operation: Operation) => number}
 */
function createUntil(changes) {
  return (operation) => {
    const { outcome, proved } = operation;
    if (outcome === 'ok' || proved === undefined) return latestEffect(operation);
    const lastSet = changes.filter(({ password }) => password === proved).map(latestEffect);
    const replacing = okOf(changes).filter(
      ({ password, start }) => password !== proved && lastSet.every((moment) => moment < start),
    );
    return Math.min(Infinity, ...replacing.map(({ end }) => end));
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

/**
 * @param {Operation[]} changes
 * @param {Operation[]} logins
 * @param {(operation: Operation) => number} until
 */
function createPasswords(changes, logins, until) {
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
      value: -until(change),
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
  /** By when the password was set for the last time, or never was. @param {number | undefined} password */
  const lastSetBy = (password) => Math.max(-Infinity, ...(setters.get(password) ?? []).map(until));
  return {
    /**
     * The first change to another password that was surely made after the login read this one: no change to this one can
     * have come after it. The login then holds an epoch that the change raised.
     *
     * @param {Pick<Operation, 'password'>} login accepted
     */
    replacedAfterRead: ({ password }) => replaced(lastSetBy(password), password)?.of ?? null,

    /** Whether the password can have been set at all by the time of the login's end. @param {Operation} login */
    canBeSet: ({ password, end }) =>
      password === 0 || (setters.get(password) ?? []).some(({ start }) => start < end),

    /** Whether the password was surely this one in all of the login's bracket. @param {Pick<Operation, 'password' | 'start' | 'end'>} login */
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

/** It is final, so it is certain from the first acknowledgement on. @param {Operation[]} deletions */
function createDeletion(deletions) {
  const done = okOf(deletions).reduce(firstOf, /** @type {Operation | null} */ (null));
  const begunAt = Math.min(Infinity, ...deletions.map(({ start }) => start));
  return {
    /** The one that was acknowledged first. */
    done,

    /** Whether the user may have been deleted by the end of a bracket. @param {{ end: number }} bracket */
    mayBeDone: ({ end }) => begunAt < end,
  };
}
