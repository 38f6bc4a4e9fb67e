// @ts-check
// An honest device that loses the answer to a refresh, falls asleep in an outage, and asks again when it is over: the outage has
// not used up the window.
import { adopt, open, SAFE_SHARE_OF_WINDOW } from './holding.js';
import { leave } from './leaving.js';

/** @typedef {import('./scene.js').Scene} Scene */

/** After the end of an outage a beat has told of it by then. */
const BEATEN_WITHIN_MS = 1000;

/** @param {Scene} scene */
export async function absentee(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const { ask, rules } = scene;
  const windowMs = 1000 * rules.replayWindow;
  const { refresh: token } = held;
  const firstTryAt = scene.now();
  const lost = await ask.refresh(held.caller, scene.replica(), token, {
    dropAfterMs: scene.chance(0.5) ? scene.between(0, 6) : undefined,
  });
  const isOut = await scene.untilOutage(firstTryAt + SAFE_SHARE_OF_WINDOW * windowMs);
  if (isOut) {
    await scene.untilAnswered();
    // From now on it has the window anew.
    await scene.wait(scene.between(BEATEN_WITHIN_MS, SAFE_SHARE_OF_WINDOW * windowMs));
  }
  if (scene.isOver()) return;
  const reply = await ask.refresh(held.caller, scene.replica(), token);
  if (reply.outcome === 'ok') adopt(held, reply);
  else if (lost.outcome === 'ok') adopt(held, lost);
  await ask.introspect(held.caller, scene.replica(), held.access);
  if (scene.chance(0.5)) await leave(scene, held);
  held.isOver = true;
}
