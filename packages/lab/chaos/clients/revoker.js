// @ts-check
// Someone whose access token is revoked when it has a successor already: with either, both end, and the session goes on.
import { notice, open, refresh } from './holding.js';
import { askEverywhere, endWatched } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */

/** Seconds after the parent's `exp` at which the successor, which expires later, is asked about. */
const AFTER_EXP = [-0.5, 0.3, 1.5, 3, 5, 7, 10, 13];

/** @param {Scene} scene */
export async function revoker(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const { access: parent } = held;
  const { iat, exp } = parent.claims;
  await scene.waitUntil(exp - Math.floor((exp - iat) / 2) + scene.between(0.05, 4));
  if (scene.isOver()) return;
  notice(held, await scene.ask.session(held.caller, scene.replica(), parent));
  const { access: successor } = held;
  if (successor === parent) return;
  const revoked = scene.pick([parent, successor]);
  await endWatched(scene, [parent, successor], () => scene.ask.revoke(held.caller, scene.replica(), revoked));
  await refresh(scene, held);
  for (const seconds of AFTER_EXP) {
    await scene.waitUntil(exp + seconds);
    if (scene.isOver()) return;
    await Promise.all([
      askEverywhere(scene, [parent, successor, held.access]),
      scene.ask.session(held.caller, scene.replica(), successor),
    ]);
  }
}
