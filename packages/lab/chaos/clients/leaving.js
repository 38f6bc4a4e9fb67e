// @ts-check
// The ways in which the holder of a session ends it.
import { refresh } from './holding.js';
import { endWatched, tryDead } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */

/** @type {Record<string, (scene: Scene, held: Held) => Promise<Pick<import('./scene.js').Reply, 'outcome'>>>} */
const WAYS = {
  logoutByAccess: ({ ask, replica }, { caller, access }) => ask.logout(caller, replica(), access),
  logoutByRefresh: ({ ask, replica }, { caller, refresh: token }) => ask.logout(caller, replica(), token),
  revokeRefresh: ({ ask, replica }, { caller, refresh: token }) => ask.revoke(caller, replica(), token),
  endOwnSession: ({ ask, replica }, { caller, access, sid }) =>
    ask.endSession(caller, replica(), access, sid),
  logoutEverywhere: ({ ask, replica }, { caller, access }) =>
    ask.logoutAll(caller, replica(), access, { exceptCurrent: false }),
};

/** Ends a session in one of the ways, and tries it afterwards. @param {Scene} scene @param {Held} held */
export async function leave(scene, held) {
  const way = scene.pick(Object.values(WAYS));
  await endWatched(scene, heldTokens(scene, held), () => way(scene, held));
  held.isOver = true;
  await tryDead(scene, held);
}

/** Ends the access token alone; the session goes on with another. @param {Scene} scene @param {Held} held */
export async function swapAccess(scene, held) {
  const { access, caller } = held;
  await endWatched(scene, [access], () => scene.ask.revoke(caller, scene.replica(), access));
  await refresh(scene, held);
}

/** The current access token, and an earlier one where there is one. @param {Scene} scene @param {Held} held */
export function heldTokens(scene, { access, known }) {
  const other = scene.pick(known);
  return other === access ? [access] : [access, other];
}
