// @ts-check
// What was done to a user as a whole: ends of all sessions, passwords, disabling and enabling; with what is certain of each.
import { createLeastAfter } from './least-after.js';

/** @typedef {import('../history.js').Operation} Operation */

/**
 * Something that ends all sessions of a user that were opened before: it raises an epoch.
 *
 * @typedef {object} Raise
 * @property {Operation} operation
 * @property {string | null} kept the session that it leaves alone
 */

/** The latest that it can take effect: once answered it has, and unanswered it may at any time. @param {Operation} operation */
export function latestEffect({ outcome, end }) {
  return outcome === 'ok' ? end : Infinity;
}

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
  const firstPossible = createLeastAfter(
    raises.map(({ operation, kept }) => ({
      at: latestEffect(operation),
      value: operation.start,
      tag: kept,
      of: operation,
    })),
  );
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
     * From when on one may end the session. One that surely took effect before the login began was read by it.
     *
     * @param {string} sid
     * @param {Operation} login
     */
    possibleFrom: (sid, login) => firstPossible(login.start, sid)?.value ?? Infinity,

    /** Whether one may take effect within the bracket. @param {{ start: number, end: number }} bracket */
    mayTouch: ({ start, end }) => (firstPossible(start)?.value ?? Infinity) < end,
  };
}

/**
 * @param {Operation[]} operations `password`, `disable`, `enable` of one user, refused ones left out
 * @param {Raise[]} raises of the same user
 *
 * @typedef {ReturnType<typeof createAccount>} Account
 */
export function createAccount(operations, raises) {
  const passwords = createPasswords(operations.filter(({ kind }) => kind === 'password'));
  const access = createAccess(
    operations.filter(({ kind }) => kind === 'disable'),
    operations.filter(({ kind }) => kind === 'enable'),
  );
  return {
    ...createRaises(raises),
    passwords,
    access,
  };
}

/** @param {Operation[]} changes */
function createPasswords(changes) {
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
  /** @type {Map<number | undefined, Operation[]>} */
  const setters = new Map();
  for (const change of changes)
    setters.set(change.password, [...(setters.get(change.password) ?? []), change]);
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
      const since = okOf(setters.get(password) ?? []).filter((setter) => setter.end < start);
      const latestOther = other === null ? -Infinity : -other.value;
      return since.some((setter) => setter.start > latestOther);
    },
  };
}

/**
 * @param {Operation[]} disables
 * @param {Operation[]} enables
 */
function createAccess(disables, enables) {
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
  const lastEnabled = createLeastAfter(
    okOf(enables).map((enable) => ({ at: -enable.end, value: -enable.start, tag: null, of: enable })),
  );
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
      if (disabled === null) return true;
      const enabled = lastEnabled(-start);
      return enabled !== null && -enabled.value > -disabled.value;
    },
  };
}
