// @ts-check
// An honest device: uses its session, keeps it by refreshing, in several tabs and over bad lines, and logs out or is forgotten.
import { notice, open, refresh } from './holding.js';
import { leave, swapAccess } from './leaving.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */

/** A tab that is this much behind is still well within the window. */
const LAGGARD_SHARE_OF_WINDOW = 0.2;

/** Each as often as it stands here. @type {((scene: Scene, held: Held) => Promise<unknown>)[]} */
const STEPS = [
  ...Array(12).fill(introspect),
  ...Array(4).fill(showSession),
  ...Array(2).fill(list),
  ...Array(2).fill((/** @type {Scene} */ scene, /** @type {Held} */ held) => refresh(scene, held)),
  (scene, held) => refresh(scene, held, { tabs: 2 + Math.floor(scene.between(0, 9)) }),
  (scene, held) => refresh(scene, held, { lost: 0.9 }),
  (scene, held) => refresh(scene, held, { tabs: 3, lost: 0.5 }),
  lag,
];

/** @param {Scene} scene */
export async function device(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const leavesAt = scene.now() + scene.between(200, 9000);
  while (!held.isOver && scene.now() < leavesAt && !scene.isOver()) {
    await scene.pick(STEPS)(scene, held);
    if (scene.chance(0.03)) await swapAccess(scene, held);
    await scene.wait(scene.between(0, 250));
  }
  if (!held.isOver && scene.chance(0.8)) await leave(scene, held);
}

/** Logs in and out again. @param {Scene} scene */
export async function visitor(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  if (scene.chance(0.3)) await introspect(scene, held);
  if (scene.chance(0.3)) await refresh(scene, held);
  await leave(scene, held);
}

/** @param {Scene} scene @param {Held} held */
async function introspect(scene, held) {
  const reply = await scene.ask.introspect(held.caller, scene.replica(), held.access);
  notice(held, reply);
  if (reply.active === false) await refresh(scene, held);
}

/** @param {Scene} scene @param {Held} held */
async function showSession(scene, held) {
  const reply = await scene.ask.session(held.caller, scene.replica(), held.access);
  notice(held, reply);
  if (reply.error === 'invalid_token') await refresh(scene, held);
}

/** @param {Scene} scene @param {Held} held */
async function list(scene, held) {
  notice(held, await scene.ask.list(held.caller, scene.replica(), held.access));
}

/** A tab that still has the token before the last: it is told so, and nothing ends. @param {Scene} scene @param {Held} held */
async function lag(scene, held) {
  const { refresh: token } = held;
  await refresh(scene, held);
  await refresh(scene, held);
  const hasTime = scene.now() < held.refreshedAt + LAGGARD_SHARE_OF_WINDOW * 1000 * scene.rules.replayWindow;
  if (!held.isOver && hasTime) await scene.ask.refresh(held.caller, scene.replica(), token);
}
