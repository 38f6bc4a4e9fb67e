// @ts-check
// What all clients of a run share: chance, the clock, the replicas, the users, and the sessions that somebody knows of.
import { setTimeout as sleep } from 'node:timers/promises';

import { createOutages } from '../outages.js';

/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('../history.js').Rules} Rules */
/** @typedef {import('../questions.js').Caller} Caller */
/** @typedef {import('../questions.js').Replica} Replica */
/** @typedef {import('../questions.js').Reply} Reply */
/** @typedef {import('../questions.js').Questions} Questions */

/**
 * @typedef {object} User
 * @property {string} username
 * @property {string} label the name, with a number behind it where somebody else had the name before; of a backend's user, see subjects.js
 * @property {number} turn how many have had the name before
 * @property {string} id
 * @property {string} scope that the user was made with
 * @property {number} scopes how many other scopes an administrator has thought of since
 * @property {number} version of the password that is in force, as far as its owner knows
 * @property {boolean} isBusy an operator is at work on this user
 * @property {{ backend: number, externalId: string }=} subject of a user whom a client has brought: nobody logs in by that name
 * @property {number} wrongGuesses limits on guessing lock an account for an hour
 */

/**
 * @typedef {object} Held a session as its client holds it
 * @property {User} user
 * @property {Caller} caller
 * @property {string} sid
 * @property {Token} access the latest
 * @property {Token} refresh the latest
 * @property {Token[]} known all access tokens that were seen, reissued ones included
 * @property {Token[]} spent refresh tokens that came before, the latest last
 * @property {number} refreshedAt when the latest refresh was asked for, by the recorder's clock
 * @property {boolean} isOver its client has no more use for it
 */

/** @typedef {ReturnType<typeof createScene>} Scene */

/** Whether it is the session of a user who logs in. @param {Held} held */
export const isByLogin = ({ user }) => user.subject === undefined;

/** Between two looks whether an outage has begun, or is over. */
const LOOK_MS = 50;

/** Sessions that resource servers still ask about. */
const REMEMBERED = 400;

/**
 * @param {object} options
 * @param {Questions} options.ask
 * @param {() => number} options.now
 * @param {Rules} options.rules
 * @param {() => number} options.random
 * @param {{ name: string, port: number, isUp: () => boolean }[]} options.replicas
 * @param {User[]} options.users
 * @param {number} options.untilMs
 * @param {number} options.loginsPerSecond
 * @param {number} options.batchedShare of the questions of resource servers, so many are asked by batches
 * @param {AbortSignal} options.signal ends the run early
 */
export function createScene({
  ask,
  now,
  rules,
  random,
  replicas,
  users,
  untilMs,
  loginsPerSecond,
  batchedShare,
  signal,
}) {
  /** @type {Held[]} */
  const remembered = [];
  const outages = createOutages();
  let callers = 0;
  let place = 0;
  let nextLoginAt = now();

  const between = (/** @type {number} */ low, /** @type {number} */ high) => low + random() * (high - low);

  /** @template T @param {readonly T[]} list @returns {T} */
  function pick(list) {
    const found = list[Math.floor(random() * list.length)];
    if (found === undefined) throw new RangeError('nothing to pick from');
    return found;
  }

  const isOver = () => signal.aborted || now() >= untilMs;

  /** @param {number} ms no longer than the run */
  async function wait(ms) {
    // Aborted is over, as any other end.
    await sleep(Math.max(0, Math.min(ms, untilMs - now())), undefined, { signal }).catch(() => undefined);
  }

  return {
    ask,
    now,
    rules,
    users,
    replicas,
    remembered,
    outages,
    batchedShare,
    between,
    pick,
    chance: (/** @type {number} */ share) => random() < share,
    isOver,
    wait,
    /** @param {number} seconds since 1970, by the clock of this machine, which is the database's */
    waitUntil: (seconds) => wait(seconds * 1000 - Date.now()),

    /**
     * Waits until an outage is announced.
     *
     * @param {number} untilMs by the recorder's clock
     */
    untilAnnounced: async (untilMs) => {
      const before = outages.announced();
      while (outages.announced() === before && now() < untilMs && !isOver()) await wait(LOOK_MS);
    },

    /**
     * Waits for an outage to begin, unless one is under way.
     *
     * @param {number} untilMs by the recorder's clock
     * @returns {Promise<boolean>} whether there is one by then
     */
    untilOutage: async (untilMs) => {
      const before = outages.begun();
      const isThere = () => outages.isOn() || outages.begun() > before;
      while (!isThere() && now() < untilMs && !isOver()) await wait(LOOK_MS);
      return isThere();
    },

    /** Waits until no outage is under way. */
    untilAnswered: async () => {
      while (outages.isOn() && !isOver()) await wait(LOOK_MS);
    },

    /** One that is up, as a load balancer finds it; any when none is. */
    replica: () => {
      const up = replicas.filter((replica) => replica.isUp());
      return pick(up.length === 0 ? replicas : up);
    },

    /** @returns {Caller} */
    newCaller: () => {
      callers += 1;
      return {
        number: callers,
        address: `10.${(callers >> 16) & 255}.${(callers >> 8) & 255}.${callers & 255}`,
      };
    },

    /** Waits for the turn to log in: hashing is dear, and what is refused for want of room tells nothing. */
    turn: async () => {
      const at = Math.max(now(), nextLoginAt);
      nextLoginAt = at + 1000 / loginsPerSecond;
      await wait(at - now());
    },

    /** @param {Held} held */
    remember: (held) => {
      remembered[place % REMEMBERED] = held;
      place += 1;
    },
  };
}

/**
 * With the first password.
 *
 * @param {Pick<User, 'id' | 'username' | 'scope'> & Partial<User>} whose
 * @returns {User}
 */
export function newUser({ username, ...whose }) {
  return {
    username,
    label: username,
    turn: 0,
    version: 0,
    isBusy: false,
    wrongGuesses: 0,
    scopes: 0,
    ...whose,
  };
}

/** Nobody has the password of who had the name before. @param {number} version @param {{ turn?: number }} user */
export function passwordOf(version, { turn = 0 } = {}) {
  return `correct horse battery staple ${version}${turn === 0 ? '' : ` of ${turn}`}`;
}
