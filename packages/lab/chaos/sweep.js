// @ts-check
// Kills a replica at each protocol message that each writing endpoint makes, and asks the others what has become of it.
import { open } from './clients/holding.js';
import { playScene } from './clients/play.js';
import { passwordOf } from './clients/scene.js';
import { strikeAtMessage } from './faults/moment.js';
import { recordFault } from './faults/stage.js';

/** @typedef {import('./clients/scene.js').Scene} Scene */
/** @typedef {import('./clients/scene.js').Held} Held */
/** @typedef {import('./questions.js').Reply} Reply */
/** @typedef {import('./replica.js').Replica} Replica */

/** @typedef {(scene: Scene, held: Held, replica: Replica) => Promise<Reply>} Endpoint */

const USERS = 20;
const MESSAGE_WITHIN_MS = 1500;

/** @type {Record<string, Endpoint>} */
const ENDPOINTS = {
  login: ({ ask }, { caller, user }, replica) => {
    const { username, version } = user;
    return ask.login(caller, replica, {
      username,
      version,
      password: passwordOf(version, user),
      honest: true,
    });
  },
  refresh: ({ ask }, { caller, refresh }, replica) => ask.refresh(caller, replica, refresh),
  'logout by access token': ({ ask }, { caller, access }, replica) => ask.logout(caller, replica, access),
  'logout by refresh token': ({ ask }, { caller, refresh }, replica) => ask.logout(caller, replica, refresh),
  'logout-all': ({ ask }, { caller, access }, replica) =>
    ask.logoutAll(caller, replica, access, { exceptCurrent: false }),
  'revoke access token': ({ ask }, { caller, access }, replica) => ask.revoke(caller, replica, access),
  'revoke refresh token': ({ ask }, { caller, refresh }, replica) => ask.revoke(caller, replica, refresh),
  'end session': ({ ask }, { caller, access, sid }, replica) => ask.endSession(caller, replica, access, sid),
};

export const SWEPT_ENDPOINTS = Object.keys(ENDPOINTS);

/**
 * @typedef {object} Sweep
 * @property {number} kills
 * @property {number} missed messages that did not come a second time
 * @property {Record<string, string>} messages of each endpoint, in their order: those that go up as PostgreSQL calls them, those
 *   that come down in parentheses
 */

/**
 * @param {object} options
 * @param {import('./cluster.js').Cluster} options.cluster nobody else is at work on it
 * @param {import('./history.js').Recorder} options.recorder
 * @param {() => number} options.random
 * @param {number} options.untilMs by the recorder's clock
 * @param {string[]=} options.endpoints all of them unless given
 * @param {((line: string) => void)=} options.log
 * @returns {Promise<Sweep & import('./questions.js').Manners>}
 */
export async function sweepMessages({
  cluster,
  recorder,
  random,
  untilMs,
  endpoints = SWEPT_ENDPOINTS,
  log = () => undefined,
}) {
  const options = { cluster, recorder, random, users: USERS, untilMs };
  return await playScene(options, async (scene) => {
    /** @type {Sweep} */
    const sweep = { kills: 0, missed: 0, messages: {} };
    for (const name of endpoints) {
      const endpoint = ENDPOINTS[name];
      if (endpoint === undefined) throw new Error(`no such endpoint: ${name}`);
      const messages = await learn(scene, endpoint, cluster);
      sweep.messages[name] = messages.join('');
      for (let step = 0; step < 2 * messages.length && !scene.isOver(); step += 1) {
        const at = { place: step >> 1, isPassedOn: step % 2 === 1 };
        const isStruck = await killAt({ scene, endpoint, cluster, recorder, at });
        sweep[isStruck ? 'kills' : 'missed'] += 1;
      }
      log(`${name}: ${sweep.kills} kills so far, at ${messages.join('')}`);
    }
    return sweep;
  });
}

/**
 * The messages that one call makes, once connections are open and statements prepared.
 *
 * @param {Scene} scene
 * @param {Endpoint} endpoint
 * @param {import('./cluster.js').Cluster} cluster
 */
async function learn(scene, endpoint, { replicas }) {
  const [target] = split(replicas);
  /** @type {string[]} */
  const messages = [];
  const held = await prepare(scene, endpoint, target);
  target.proxy.onMessage(({ direction, type }) => {
    messages.push(direction === 'up' ? type : `(${type})`);
    return undefined;
  });
  if (held !== null) await endpoint(scene, held, target);
  target.proxy.onMessage(null);
  return messages;
}

/**
 * Lets the replica make the same call for another session first, so that it has connections and prepared statements.
 *
 * @param {Scene} scene
 * @param {Endpoint} endpoint
 * @param {Replica} replica
 * @returns {Promise<Held | null>} a session to make the call for
 */
async function prepare(scene, endpoint, replica) {
  const [first, held] = [await open(scene, { honest: true }), await open(scene, { honest: true })];
  if (first !== null) await endpoint(scene, first, replica);
  return held;
}

/**
 * @param {object} options
 * @param {Scene} options.scene
 * @param {Endpoint} options.endpoint
 * @param {import('./cluster.js').Cluster} options.cluster
 * @param {import('./history.js').Recorder} options.recorder
 * @param {{ place: number, isPassedOn: boolean }} options.at
 */
async function killAt({ scene, endpoint, cluster, recorder, at: { place, isPassedOn } }) {
  const [target, other, another] = split(cluster.replicas);
  const held = await prepare(scene, endpoint, target);
  if (held === null) return false;
  let passed = 0;
  const striking = strikeAtMessage({
    proxy: target.proxy,
    isIt: () => passed++ === place,
    isPassedOn,
    strike: () =>
      recordFault(recorder, { name: 'kill-at-each-message', target: target.name, isKill: true }, target.kill),
    withinMs: MESSAGE_WITHIN_MS,
  });
  await endpoint(scene, held, target);
  const isStruck = await striking;
  const starting = target.start();
  await observe(scene, endpoint, held, other, another);
  await starting;
  await scene.ask.introspect(held.caller, target, held.access);
  return isStruck;
}

/**
 * What the other replicas make of it; then the call once more, as an honest client does that has had no answer, after
 * which nothing is unknown any longer.
 *
 * @param {Scene} scene
 * @param {Endpoint} endpoint
 * @param {Held} held
 * @param {Replica} other
 * @param {Replica} another
 */
async function observe(scene, endpoint, held, other, another) {
  const { ask } = scene;
  const { caller, access, refresh } = held;
  await ask.introspect(caller, other, access);
  await ask.list(caller, another, access);
  await endpoint(scene, held, other);
  const { tokens } = await ask.refresh(caller, another, refresh);
  await ask.introspect(caller, other, access);
  if (tokens.access !== undefined) await ask.introspect(caller, other, tokens.access);
}

/** @param {Replica[]} replicas @returns {[Replica, Replica, Replica]} the one that is killed, and two that are asked */
function split([target, other, another = other]) {
  if (target === undefined || other === undefined || another === undefined)
    throw new Error('a sweep takes two replicas at least');
  return [target, other, another];
}
