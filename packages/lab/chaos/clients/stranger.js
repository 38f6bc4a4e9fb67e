// @ts-check
// Someone who knows the ids of other users' sessions and tries to end them: they are nobody's, and live on.
import { open, refresh } from './holding.js';
import { leave } from './leaving.js';
import { askEverywhere } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */

/** @param {Scene} scene */
export async function stranger(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const attempts = 3 + Math.floor(scene.between(0, 5));
  for (let made = 0; made < attempts && !scene.isOver() && !held.isOver; made += 1) {
    const others = scene.remembered.filter(({ user, isOver }) => user !== held.user && !isOver);
    if (others.length > 0) {
      const { sid, access } = scene.pick(others);
      await scene.ask.endSession(held.caller, scene.replica(), held.access, sid);
      await askEverywhere(scene, [access]);
    }
    await scene.ask.list(held.caller, scene.replica(), held.access);
    await scene.wait(scene.between(50, 600));
    if (scene.chance(0.2)) await refresh(scene, held);
  }
  if (!held.isOver) await leave(scene, held);
}
