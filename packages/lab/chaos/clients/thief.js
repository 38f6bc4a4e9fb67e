// @ts-check
// A thief: keeps refresh tokens that have been spent, and sends them again, within the window and after it.
import { adopt, open } from './holding.js';
import { askEverywhere, watch } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */

/** How long after the window the replay comes; close to its end either answer is right. */
const AFTER_WINDOW_MS = [-3000, -500, -30, 0, 30, 200, 800, 2000];

/** So long after the end of a window one waits for an outage, who hopes that it opens windows again. */
const LURKS_MS = 12_000;

/** So long after an outage has begun the beat is too old for anybody to tell how long a window is, and for some time after that. */
const UNKNOWN_AFTER_MS = [5200, 6000, 6800];

/** By then a beat has told that an outage is over, and the next one that it was committed. */
const TOLD_WITHIN_MS = 2500;

/** @param {Scene} scene */
export async function thief(scene) {
  const held = await open(scene, { honest: false });
  if (held === null) return;
  const rotations = 1 + Math.floor(scene.between(0, 3));
  for (let done = 0; done < rotations; done += 1) {
    await rotate(scene, held);
    await scene.wait(scene.between(0, 600));
  }
  if (held.spent.length === 0) return;
  if (scene.chance(0.6)) await replay(scene, held);
  if (scene.chance(0.4)) await lurk(scene, held);
  else
    await scene.wait(
      held.refreshedAt + 1000 * scene.rules.replayWindow + scene.pick(AFTER_WINDOW_MS) - scene.now(),
    );
  if (scene.isOver()) return;
  const stop = watch(scene, [held.access]);
  await scene.wait(scene.between(0, 10));
  await replay(scene, held);
  await askEverywhere(scene, [held.access]);
  await stop();
  await rotate(scene, held);
}

/**
 * Waits until an outage is over that began after the window had run out, or, where one has cut it off, for as long as it is open.
 * Meanwhile it tries what nobody can judge.
 *
 * @param {Scene} scene
 * @param {Held} held
 */
async function lurk(scene, held) {
  const windowMs = 1000 * scene.rules.replayWindow;
  const runsOutAt = held.refreshedAt + windowMs;
  if (!(await scene.untilOutage(runsOutAt + LURKS_MS))) return;
  const isCutOff = scene.now() < runsOutAt;
  await scene.wait(scene.pick(UNKNOWN_AFTER_MS));
  if (!scene.isOver()) await replay(scene, held);
  await scene.untilAnswered();
  await scene.wait((isCutOff ? windowMs : 0) + TOLD_WITHIN_MS);
}

/** As the owner does, who knows of nothing. @param {Scene} scene @param {Held} held */
async function rotate(scene, held) {
  const reply = await scene.ask.refresh(held.caller, scene.replica(), held.refresh);
  if (reply.outcome !== 'ok') return;
  held.refreshedAt = scene.now();
  adopt(held, reply);
}

/** Sends one of the spent tokens, perhaps on several replicas at once. @param {Scene} scene @param {Held} held */
async function replay(scene, held) {
  const token = scene.pick(held.spent);
  const robber = scene.newCaller();
  const copies = scene.chance(0.3) ? 3 : 1;
  const replies = await Promise.all(
    Array.from({ length: copies }, () => scene.ask.refresh(robber, scene.replica(), token)),
  );
  const minted = replies.flatMap(({ tokens: { access } }) => (access === undefined ? [] : [access]));
  held.known.push(...minted);
  if (minted.length > 0) await askEverywhere(scene, minted.slice(0, 1));
}
