// @ts-check
// Several devices of one user: one of them ends others, or all, while yet another logs in.
import { openFor } from './backing.js';
import { hold, logIn, open } from './holding.js';
import { askEverywhere, endWatched, tryDead } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */

/** @param {Scene} scene */
export async function family(scene) {
  const first = await open(scene, { honest: true });
  if (first === null) return;
  const others = await Promise.all(
    Array.from({ length: scene.pick([1, 1, 2]) }, () => open(scene, { honest: true, user: first.user })),
  );
  const all = [first, ...others].filter((held) => held !== null);
  await scene.ask.list(first.caller, scene.replica(), first.access);
  const [other] = all.slice(1);
  if (other !== undefined && scene.chance(0.4)) await endOther(scene, first, other);
  else await endAll(scene, first, all);
}

/** @param {Scene} scene @param {Held} first @param {Held} other */
async function endOther(scene, first, other) {
  await endWatched(scene, [other.access], () =>
    scene.ask.endSession(first.caller, scene.replica(), first.access, other.sid),
  );
  other.isOver = true;
  await Promise.all([tryDead(scene, other), askEverywhere(scene, [first.access])]);
}

/** @param {Scene} scene @param {Held} first @param {Held[]} all */
async function endAll(scene, first, all) {
  const exceptCurrent = scene.chance(0.5);
  const late = logInMeanwhile(scene, first.user);
  await endWatched(
    scene,
    all.map(({ access }) => access),
    () => scene.ask.logoutAll(first.caller, scene.replica(), first.access, { exceptCurrent }),
  );
  const opened = await late;
  for (const held of all) if (held !== first || !exceptCurrent) held.isOver = true;
  await askEverywhere(scene, [first.access, ...opened.map(({ access }) => access)]);
  if (exceptCurrent) await scene.ask.refresh(first.caller, scene.replica(), first.refresh);
  await tryDead(scene, scene.pick(all.slice(1).length > 0 ? all.slice(1) : all));
}

/**
 * Logins, or openings by a backend, that are under way while an epoch is raised: what they read before it must not count after it.
 *
 * @param {Scene} scene
 * @param {import('./scene.js').User} user
 * @returns {Promise<Held[]>}
 */
export async function logInMeanwhile(scene, user) {
  const opened = await Promise.all(
    Array.from({ length: scene.pick([1, 2, 3]) }, async () => {
      await scene.wait(scene.between(0, 50));
      const held =
        user.subject === undefined
          ? hold(scene, user, await logIn(scene, user, { honest: true }))
          : await openFor(scene, user);
      if (held !== null) await askEverywhere(scene, [held.access]);
      return held;
    }),
  );
  return opened.filter((held) => held !== null);
}
