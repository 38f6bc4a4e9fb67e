// @ts-check
// Sets a scene on a cluster, with users of its own, lets a part of a run play on it, and tells how the service behaved.
import { setMaxListeners } from 'node:events';

import { createHttp } from '../http.js';
import { createQuestions } from '../questions.js';
import { createSignatures } from '../signatures.js';
import { createScene, newUser, passwordOf } from './scene.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').User} User */
/** @typedef {import('../questions.js').Replica} Replica */
/** @typedef {import('../questions.js').Manners} Manners */
/** @typedef {Pick<import('../cluster.js').Cluster, 'replicas' | 'operator' | 'client' | 'administrators' | 'backends'>} Cluster */

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
 * @param {number=} options.batchedShare
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
  batchedShare = 0,
  verifies = true,
  signal = new AbortController().signal,
}) {
  const { replicas, operator, client, administrators, backends } = cluster;
  // Everyone who waits listens.
  setMaxListeners(0, signal);
  const http = createHttp(recorder.now);
  const signatures = createSignatures(() => fetchKeys(http, scene.replica()));
  const scene = createScene({
    ask: createQuestions({
      http,
      recorder,
      client,
      administrators,
      backends,
      ...(verifies ? { onToken: signatures.note } : {}),
    }),
    now: recorder.now,
    rules: recorder.history().rules,
    random,
    replicas,
    users: await addUsers(operator, `user-${Math.round(recorder.now())}`, users),
    untilMs,
    loginsPerSecond,
    batchedShare,
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
    users.push(newUser({ id, username, scope }));
  }
  return users;
}
