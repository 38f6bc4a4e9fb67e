// @ts-check
// An honest device that loses the answer to a refresh, falls asleep in an outage, and asks again when it is over: the outage has
// not used up the window.
import { adopt, open, SAFE_SHARE_OF_WINDOW } from './holding.js';
import { leave } from './leaving.js';

/** @typedef {import('./scene.js').Scene} Scene */

/** So long an idle device has a session before it asks; its refresh token lives twice as long. */
const IDLE_MS = 15_000;

/** Whoever hears of an outage asks within this time, before it begins. */
const HURRIES_MS = 500;

/** After the end of an outage a beat has told of it by then. */
const BEATEN_WITHIN_MS = 1000;

/** Between two tries of whoever was told nothing. */
const RETRY_MS = 200;

/** @param {Scene} scene */
export async function absentee(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const { ask, rules } = scene;
  const windowMs = 1000 * rules.replayWindow;
  await scene.untilAnnounced(scene.now() + IDLE_MS);
  await scene.wait(scene.between(0, HURRIES_MS));
  const firstTryAt = scene.now();
  const dropAfterMs = scene.chance(0.3) ? scene.between(0, 6) : undefined;
  const lost = await tryUntil(
    scene,
    held,
    firstTryAt + (dropAfterMs === undefined ? HURRIES_MS : 0),
    dropAfterMs,
  );
  const isOut = await scene.untilOutage(firstTryAt + SAFE_SHARE_OF_WINDOW * windowMs);
  let lastTryAt = scene.now();
  if (isOut) {
    await scene.untilAnswered();
    // From now on it has the window anew; by the old one it would be late.
    const latest = SAFE_SHARE_OF_WINDOW * windowMs;
    const rest = Math.max(BEATEN_WITHIN_MS, firstTryAt + windowMs - scene.now());
    lastTryAt = scene.now() + latest;
    await scene.wait(scene.between(Math.min(rest, latest), latest));
  }
  if (scene.isOver()) return;
  const reply = await tryUntil(scene, held, lastTryAt);
  if (reply.outcome === 'ok') adopt(held, reply);
  else if (lost.outcome === 'ok') adopt(held, lost);
  await ask.introspect(held.caller, scene.replica(), held.access);
  if (scene.chance(0.5)) await leave(scene, held);
  held.isOver = true;
}

/**
 * Sends the refresh token, and again as long as nobody answers.
 *
 * @param {Scene} scene
 * @param {import('./scene.js').Held} held
 * @param {number} lastTryAt by the recorder's clock
 * @param {number=} dropAfterMs when the first answer is given up
 */
async function tryUntil(scene, { caller, refresh }, lastTryAt, dropAfterMs) {
  let reply = await scene.ask.refresh(caller, scene.replica(), refresh, { dropAfterMs });
  while (reply.outcome === 'unknown' && scene.now() < lastTryAt && !scene.isOver()) {
    await scene.wait(RETRY_MS);
    reply = await scene.ask.refresh(caller, scene.replica(), refresh);
  }
  return reply;
}
