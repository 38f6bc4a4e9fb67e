// @ts-check
// A drill: refreshes that the database fails in many ways, each tried again within the window.
import { open } from '../clients/holding.js';
import { playScene } from '../clients/play.js';
import { recordFault } from '../faults/stage.js';

/** @typedef {import('../clients/scene.js').Scene} Scene */
/** @typedef {import('../clients/scene.js').Held} Held */
/** @typedef {import('../cluster.js').Cluster} Cluster */

/** Sessions that a failure hits at once. */
const SESSIONS = 8;

/** How long a failure of the way to the database lasts. */
const HOLE_MS = 2600;

/** Until the first refresh has spent so much of the window no client gives up. */
const PATIENT_SHARE = 0.8;

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
      if (scene.isOver()) break;
      const all = await Promise.all(scene.users.map((user) => open(scene, { honest: true, user })));
      const fault = { name, target: 'postgres', isKill: name.includes('kill') };
      const failing = recordFault(recorder, fault, () => fail(cluster));
      await Promise.all(all.map((held) => held && refreshThroughout(scene, held, counts)));
      await failing;
      log(`${name}: ${counts.failedForGood} of ${counts.refreshes} refreshes failed for good so far`);
    }
    return counts;
  });
}

/** @param {Scene} scene @param {Held} held @param {{ refreshes: number, failedFirst: number, failedForGood: number }} counts */
async function refreshThroughout(scene, held, counts) {
  await scene.wait(scene.between(0, 100));
  const giveUpAt = scene.now() + 1000 * PATIENT_SHARE * scene.rules.replayWindow;
  counts.refreshes += 1;
  for (let attempt = 0; scene.now() < giveUpAt; attempt += 1) {
    const reply = await scene.ask.refresh(held.caller, scene.replica(), held.refresh);
    if (reply.outcome === 'ok') return;
    if (attempt === 0) counts.failedFirst += 1;
    if (reply.outcome === 'refused') break;
    await scene.wait(scene.between(50, 250));
  }
  counts.failedForGood += 1;
}
