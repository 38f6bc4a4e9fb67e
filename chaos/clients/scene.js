// @ts-check
// What all clients of a run share: chance, the clock, the replicas, the users, and the sessions that somebody knows of.
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { createHttp } from '../http.js';
import { createQuestions } from '../questions.js';
import { createSignatures } from '../signatures.js';

/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('../history.js').Rules} Rules */
/** @typedef {import('../questions.js').Caller} Caller */
/** @typedef {import('../questions.js').Replica} Replica */
/** @typedef {import('../questions.js').Reply} Reply */
/** @typedef {import('../questions.js').Questions} Questions */
/** @typedef {import('../questions.js').Manners} Manners */

/**
 * @typedef {object} User
 * @property {string} username
 * @property {string} id
 * @property {string} scope
 * @property {number} version of the password that is in force, as far as its owner knows
 * @property {boolean} isBusy an operator is at work on this user
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

/** @typedef {Pick<import('../cluster.js').Cluster, 'replicas' | 'operator' | 'client'>} Cluster */
/** @typedef {ReturnType<typeof createScene>} Scene */

/** Sessions that resource servers still ask about. */
const REMEMBERED = 400;

/**
 * Plays a part of a run on a scene of its own.
 *
 * @template {object} T
 * @param {Parameters<typeof openScene>[0]} options
 * @param {(scene: Scene) => Promise<T>} play
 * @returns {Promise<T & Manners>} what the part counted, and how the service behaved in it
 */
export async function playScene(options, play) {
  const { scene, close } = await openScene(options);
  const counts = await play(scene).catch(async (error) => {
    await close();
    throw error;
  });
  return { ...counts, ...(await close()) };
}

/**
 * @param {object} options
 * @param {Cluster} options.cluster
 * @param {import('../history.js').Recorder} options.recorder
 * @param {() => number} options.random seeded
 * @param {number} options.users how many are made
 * @param {number} options.untilMs by the recorder's clock
 * @param {number=} options.loginsPerSecond
 * @param {boolean=} options.verifies whether all signatures are verified
 * @param {AbortSignal=} options.signal ends it early
 */
async function openScene({
  cluster,
  recorder,
  random,
  users,
  untilMs,
  loginsPerSecond = 16,
  verifies = true,
  signal = new AbortController().signal,
}) {
  const { replicas, operator, client } = cluster;
  // Everyone who waits listens.
  setMaxListeners(0, signal);
  const http = createHttp(recorder.now);
  const signatures = createSignatures(() => fetchKeys(http, scene.replica()));
  const scene = createScene({
    ask: createQuestions({ http, recorder, client, ...(verifies ? { onToken: signatures.note } : {}) }),
    now: recorder.now,
    rules: recorder.history().rules,
    random,
    replicas,
    users: await addUsers(operator, `user-${Math.round(recorder.now())}`, users),
    untilMs,
    loginsPerSecond,
    signal,
  });
  return {
    scene,
    /** How the service behaved; nothing can be asked any more. @returns {Promise<Manners>} */
    close: async () => {
      const settled = await signatures.settle();
      http.close();
      return { ...scene.ask.manners(), signatures: settled };
    },
  };
}

/** @param {import('../http.js').Http} http @param {Replica} replica */
async function fetchKeys(http, { port }) {
  const answer = await http.send({ port, method: 'GET', path: '/.well-known/jwks.json', headers: {} });
  return answer.status === 200 ? JSON.parse(answer.body).keys : null;
}

/**
 * @param {Pick<Cluster['operator'], 'addUser'>} operator
 * @param {string} prefix
 * @param {number} count
 * @returns {Promise<User[]>} all with the first password
 */
async function addUsers(operator, prefix, count) {
  /** @type {User[]} */
  const users = [];
  for (let number = 1; number <= count; number += 1) {
    const name = `${prefix}-${number}`;
    const scope = number % 2 === 0 ? 'read write' : '';
    const { id, username } = await operator.addUser(
      number % 3 === 0 ? `${name}-żółw` : name,
      passwordOf(0),
      scope,
    );
    users.push({ id, username, scope, version: 0, isBusy: false, wrongGuesses: 0 });
  }
  return users;
}

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
 * @param {AbortSignal} options.signal ends the run early
 */
function createScene({ ask, now, rules, random, replicas, users, untilMs, loginsPerSecond, signal }) {
  /** @type {Held[]} */
  const remembered = [];
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
    between,
    pick,
    chance: (/** @type {number} */ share) => random() < share,
    isOver,
    wait,
    /** @param {number} seconds since 1970, by the clock of this machine, which is the database's */
    waitUntil: (seconds) => wait(seconds * 1000 - Date.now()),

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

/** @param {number} version */
export function passwordOf(version) {
  return `correct horse battery staple ${version}`;
}
