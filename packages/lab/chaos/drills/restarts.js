// @ts-check
// A drill: PostgreSQL goes and comes back, and whoever asks meanwhile is told that nobody knows.
import { open } from '../clients/holding.js';
import { playScene } from '../clients/play.js';
import { recordAbsence, recordFault } from '../faults/stage.js';

/** @typedef {import('../clients/scene.js').Scene} Scene */
/** @typedef {import('../clients/scene.js').Held} Held */
/** @typedef {import('../cluster.js').Cluster} Cluster */

/** How long PostgreSQL stays away, and how often each replica is asked meanwhile. */
const AWAY_MS = 1500;
const QUESTIONS_WHILE_AWAY = 6;

/** A replica that has not answered truthfully by then is told as what it is: too late. */
const GIVE_UP_MS = 20_000;

/**
 * PostgreSQL goes and comes back: meanwhile nothing but 503, no process ends, and soon after all is as before.
 *
 * @param {object} options
 * @param {Cluster} options.cluster
 * @param {import('../history.js').Recorder} options.recorder
 * @param {() => number} options.random
 * @param {number} options.restarts
 * @param {number} options.untilMs
 * @param {(line: string) => void} options.log
 */
export async function drillRestarts({ cluster, recorder, random, restarts, untilMs, log }) {
  return await playScene({ cluster, recorder, random, users: 4, untilMs }, async (scene) => {
    const counts = { restarts: 0, meanwhile: 0, otherThan503: 0, slowestMs: 0 };
    const { postgres } = cluster;
    while (counts.restarts < restarts && !scene.isOver()) {
      const held = await open(scene, { honest: true });
      if (held === null) break;
      const isKilled = scene.chance(0.5);
      const name = isKilled ? 'kill PostgreSQL' : 'stop PostgreSQL at once';
      const takeDown = isKilled ? postgres.kill : postgres.stopImmediately;
      await recordFault(recorder, { name, target: 'postgres', isKill: true }, takeDown);
      await recordAbsence(recorder, () => askMeanwhile(scene, held, counts));
      await postgres.start();
      const backMs = await untilAllAnswer(scene, held);
      counts.restarts += 1;
      counts.slowestMs = Math.max(counts.slowestMs, backMs);
      log(`PostgreSQL back: all replicas answer after ${Math.round(backMs)} ms`);
    }
    return counts;
  });
}

/** Whatever needs the database, of every replica. @param {Scene} scene @param {Held} held @param {{ meanwhile: number, otherThan503: number }} counts */
async function askMeanwhile(scene, held, counts) {
  const { ask } = scene;
  const { caller, access, refresh } = held;
  const who = { username: held.user.username, password: 'wrong', version: -1, honest: true };
  const until = scene.now() + AWAY_MS;
  /** @type {((replica: import('../questions.js').Replica) => Promise<import('../questions.js').Reply>)[]} */
  const questions = [
    (replica) => ask.introspect(caller, replica, access),
    (replica) => ask.session(caller, replica, access),
    (replica) => ask.list(caller, replica, access),
    (replica) => ask.refresh(caller, replica, refresh),
    (replica) => ask.logout(caller, replica, refresh),
    (replica) => ask.revoke(caller, replica, access),
    (replica) => ask.login(caller, replica, who),
  ];
  await Promise.all(
    scene.replicas.map(async (replica) => {
      for (let asked = 0; asked < QUESTIONS_WHILE_AWAY; asked += 1) {
        const { status } = await scene.pick(questions)(replica);
        counts.meanwhile += 1;
        if (status !== 503) counts.otherThan503 += 1;
      }
    }),
  );
  await scene.wait(until - scene.now());
}

/** @param {Scene} scene @param {Held} held @returns {Promise<number>} milliseconds until the last replica told the truth */
async function untilAllAnswer(scene, held) {
  const since = scene.now();
  await Promise.all(
    scene.replicas.map(async (replica) => {
      for (;;) {
        const { outcome } = await scene.ask.introspect(held.caller, replica, held.access);
        if (outcome === 'ok' || scene.now() - since > GIVE_UP_MS) return;
        await scene.wait(50);
      }
    }),
  );
  return scene.now() - since;
}
