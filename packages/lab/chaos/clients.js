// @ts-check
// A crowd of clients for a while: lives that begin with a login, resource servers that ask about all of them, backends, an operator
// and administrators.
import { absentee } from './clients/absentee.js';
import { createAdministering } from './clients/administering.js';
import { createBacking } from './clients/backing.js';
import { confirmer } from './clients/confirmer.js';
import { device, visitor } from './clients/device.js';
import { family } from './clients/family.js';
import { createOperating } from './clients/operating.js';
import { renewer } from './clients/renewer.js';
import { revoker } from './clients/revoker.js';
import { playScene } from './clients/play.js';
import { elder, oversleeper, sleeper } from './clients/sleeper.js';
import { stranger } from './clients/stranger.js';
import { thief } from './clients/thief.js';
import { askAbout } from './clients/watching.js';

/** @typedef {import('./clients/scene.js').Scene} Scene */
/** @typedef {import('./clients/operating.js').Pace} Pace */

/** A resource server waits so many times as long as its last answer took. */
const PATIENCE_TIMES = 2;

/** @type {Record<string, (scene: Scene) => Promise<void>>} */
const LIVES = {
  absentee,
  confirmer,
  device,
  visitor,
  family,
  thief,
  stranger,
  revoker,
  renewer,
  sleeper,
  elder,
  oversleeper,
};

/**
 * @typedef {object} Profile
 * @property {Record<string, number>} lives weights of the ways to live
 * @property {number} loginsPerSecond
 * @property {number} resourceServers questions about whatever is known, at once
 * @property {number} batchedShare of what resource servers ask, so much is asked by batches
 * @property {number} backends programs that open sessions for users of their own, one after the other
 * @property {number} users
 * @property {Partial<Pace>} operator how often it does what; 0 and [] for never
 * @property {Partial<import('./clients/administering.js').Pace>} administrator the same, over HTTP
 */

/** @type {Profile} */
export const MIXED = {
  lives: {
    device: 34,
    visitor: 20,
    family: 9,
    thief: 12,
    stranger: 4,
    revoker: 5,
    sleeper: 12,
    elder: 4,
    oversleeper: 4,
    absentee: 8,
    renewer: 7,
    confirmer: 6,
  },
  loginsPerSecond: 16,
  resourceServers: 8,
  batchedShare: 0.3,
  backends: 3,
  users: 200,
  operator: {},
  administrator: {},
};

/**
 * @template T
 * @param {object} options
 * @param {Pick<import('./cluster.js').Cluster, 'replicas' | 'operator' | 'client' | 'administrators' | 'backends'>} options.cluster
 * @param {import('./history.js').Recorder} options.recorder
 * @param {() => number} options.random seeded
 * @param {number} options.count lives at once
 * @param {number} options.untilMs by the recorder's clock
 * @param {Partial<Profile>=} options.profile
 * @param {boolean=} options.verifies whether all signatures are verified
 * @param {AbortSignal=} options.signal ends it early
 * @param {(outages: import('./outages.js').Outages) => Promise<T>} options.beside what else happens, from when all users are there
 * @returns {Promise<import('./questions.js').Manners & { besides: T }>}
 */
export async function runClients({
  cluster,
  recorder,
  random,
  count,
  untilMs,
  profile = {},
  verifies = true,
  signal,
  beside,
}) {
  const { lives, loginsPerSecond, resourceServers, batchedShare, backends, users, operator, administrator } =
    {
      ...MIXED,
      ...profile,
    };
  const names = Object.entries(lives).flatMap(([name, weight]) => Array(weight).fill(name));
  const options = {
    cluster,
    recorder,
    random,
    users,
    untilMs,
    loginsPerSecond,
    batchedShare,
    verifies,
    signal,
  };
  return await playScene(options, async (scene) => {
    const backing = createBacking(
      scene,
      cluster.backends.map(({ id }) => id),
    );
    const [besides] = await Promise.all([
      beside(scene.outages),
      ...Array.from({ length: count }, () => live(scene, names)),
      ...Array.from({ length: resourceServers }, () => serveResources(scene)),
      ...Array.from({ length: backends }, () => backing.run()),
      createOperating(scene, cluster.operator, recorder, operator).run(),
      createAdministering(scene, administrator).run(),
    ]);
    return { besides };
  });
}

/** One life after the other. @param {Scene} scene @param {string[]} names */
async function live(scene, names) {
  while (!scene.isOver()) await LIVES[scene.pick(names)]?.(scene);
}

/** Asks about tokens of sessions that live or have lived, each on any replica. @param {Scene} scene */
async function serveResources(scene) {
  const server = scene.newCaller();
  while (!scene.isOver()) {
    if (scene.remembered.length === 0) {
      await scene.wait(20);
      continue;
    }
    const { known } = scene.pick(scene.remembered);
    const token = scene.chance(0.7) ? known[known.length - 1] : scene.pick(known);
    const since = scene.now();
    if (token !== undefined) await askAbout(scene, server, scene.replica(), [token]);
    // A machine that is slow to answer has little left for logins, whose hashing has idle priority: it is asked less.
    await scene.wait(scene.between(0, 25) + PATIENCE_TIMES * (scene.now() - since));
  }
}
