// @ts-check
// A drill: refreshes that the database fails in many ways, each tried again within the window.
import { open } from '../clients/holding.js';
import { playScene } from '../clients/play.js';
import { recordFault } from '../faults/stage.js';

/** @typedef {import('../clients/scene.js').Scene} Scene */
/** @typedef {import('../clients/scene.js').Held} Held */
/** @typedef {import('../cluster.js').Cluster} Cluster */
/** @typedef {{ refreshes: number, failedFirst: number, failedForGood: number }} Counts */

/** Sessions that a failure hits at once. */
const SESSIONS = 8;

/** How long a failure of the way to the database lasts. */
const HOLE_MS = 2600;

/** Until the first refresh has spent so much of the window no client gives up. What is left is for a try that is late itself. */
const PATIENT_SHARE = 0.7;

/** So much of that a failure has to leave: where it lasts longer, nothing is shown, and it happens once more. */
const ROOM_MS = 3000;

/** So often at most; then whatever is undecided counts as failed. */
const ROUNDS = 5;

/**
 * Each makes the database fail, and undoes it.
 *
 * @type {Record<string, (cluster: Cluster) => Promise<unknown>>}
 */
const FAILURES = {
  'backends terminated': ({ postgres }) => postgres.terminateBackends(),
  'cut before the answer': (cluster) => cutAtMessage(cluster, 'down', 'C'),
  'cut before the statement': (cluster) => cutAtMessage(cluster, 'up', 'E'),
  'black hole for statements': (cluster) => digHole(cluster, 'up'),
  'black hole for answers': (cluster) => digHole(cluster, 'down'),
  'PostgreSQL killed': async ({ postgres }) => {
    await postgres.kill();
    await postgres.start();
  },
};

/** @param {Cluster} cluster @param {'up' | 'down'} direction @param {string} type */
async function cutAtMessage({ replicas }, direction, type) {
  for (const { proxy } of replicas)
    proxy.onMessage((message) =>
      message.direction === direction && message.type === type ? 'cut' : undefined,
    );
  await wait(120);
  for (const { proxy } of replicas) proxy.onMessage(null);
}

/** @param {Cluster} cluster @param {'up' | 'down'} direction */
async function digHole({ replicas }, direction) {
  for (const { proxy } of replicas) proxy.blackHole(direction);
  await wait(HOLE_MS);
  for (const { proxy } of replicas) proxy.heal();
}

/** @param {number} ms */
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Refreshes while the database fails, and again within the window: all of them succeed in the end.
 *
 * @param {object} options
 * @param {Cluster} options.cluster
 * @param {import('../history.js').Recorder} options.recorder
 * @param {() => number} options.random
 * @param {number} options.untilMs
 * @param {(line: string) => void} options.log
 */
export async function drillRefreshes({ cluster, recorder, random, untilMs, log }) {
  return await playScene({ cluster, recorder, random, users: SESSIONS, untilMs }, async (scene) => {
    const counts = { refreshes: 0, failedFirst: 0, failedForGood: 0 };
    for (const [name, fail] of Object.entries(FAILURES)) {
      const fault = { name, target: 'postgres', isKill: name.includes('kill') };
      const failOnce = () =>
        refreshAll(scene, () => recordFault(recorder, fault, () => fail(cluster)), counts);
      for (let round = 1, isDecided = scene.isOver(); !isDecided; round += 1) {
        const undecided = await failOnce();
        isDecided = undecided === 0 || round === ROUNDS || scene.isOver();
        if (isDecided) counts.failedForGood += undecided;
      }
      log(`${name}: ${counts.failedForGood} of ${counts.refreshes} refreshes failed for good so far`);
    }
    return counts;
  });
}

/**
 * @param {Scene} scene
 * @param {() => Promise<void>} fail
 * @param {Counts} counts
 * @returns {Promise<number>} how many refreshes had no fair chance
 */
async function refreshAll(scene, fail, counts) {
  const all = await Promise.all(scene.users.map((user) => open(scene, { honest: true, user })));
  let mendedAt = Infinity;
  const failing = fail().then(() => (mendedAt = scene.now()));
  const [, ...ends] = await Promise.all([
    failing,
    ...all.map((held) => held && refreshThroughout(scene, held, () => mendedAt, counts)),
  ]);
  counts.failedForGood += ends.filter((end) => end === 'failed').length;
  return ends.filter((end) => end === 'undecided').length;
}

/**
 * @param {Scene} scene
 * @param {Held} held
 * @param {() => number} mendedAt
 * @param {Counts} counts
 * @returns {Promise<'healed' | 'failed' | 'undecided'>}
 */
async function refreshThroughout(scene, held, mendedAt, counts) {
  await scene.wait(scene.between(0, 100));
  const windowMs = 1000 * scene.rules.replayWindow;
  const firstTryAt = scene.now();
  const lastTryAt = firstTryAt + PATIENT_SHARE * windowMs;
  counts.refreshes += 1;
  for (let attempt = 0; scene.now() < lastTryAt; attempt += 1) {
    const reply = await scene.ask.refresh(held.caller, scene.replica(), held.refresh);
    if (reply.outcome === 'ok') return 'healed';
    if (attempt === 0) counts.failedFirst += 1;
    // What arrived after the window was refused with reason.
    if (reply.outcome === 'refused') return reply.end > firstTryAt + windowMs ? 'undecided' : 'failed';
    await scene.wait(scene.between(50, 250));
  }
  return mendedAt() > lastTryAt - ROOM_MS ? 'undecided' : 'failed';
}
