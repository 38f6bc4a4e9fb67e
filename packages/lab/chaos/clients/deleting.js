// @ts-check
// An administrator who deletes users, before the eyes of everybody and with logins under way, and adds others in their place: half of
// them under the name that has become free.
import { logInMeanwhile } from './family.js';
import { isByLogin, newUser, passwordOf } from './scene.js';
import { askEverywhere, endWatched, tryDead } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').User} User */
/** @typedef {import('./scene.js').Reply} Reply */

/** Sessions of one user whose end is watched. */
const WATCHED = 3;

/**
 * @param {Scene} scene
 * @param {object} options
 * @param {<T extends Reply>(ask: () => Promise<T>) => Promise<T | null>} options.untilAnswered
 * @param {() => number} options.pickAdministrator
 */
export function createDeleting(scene, { untilAnswered, pickAdministrator }) {
  const caller = scene.newCaller();
  let added = 0;

  const how = () => ({ administrator: pickAdministrator() });
  /** @param {User} user */
  const exportUser = (user) =>
    untilAnswered(() => scene.ask.exportUser(caller, scene.replica(), user, how()));
  /** @param {User} user */
  const remove = (user) => scene.ask.deleteUser(caller, scene.replica(), user, how());

  /** Somebody who has something to lose, if there is. */
  function pickUser() {
    const living = scene.remembered.filter((held) => !held.isOver && !held.user.isBusy && isByLogin(held));
    return living.length > 0 ? scene.pick(living).user : scene.pick(scene.users);
  }

  /** Nobody else is at work on that user from now on. @param {User} user */
  async function deleteWatched(user) {
    const held = scene.remembered.filter((one) => one.user === user && !one.isOver).slice(-WATCHED);
    const tokens = held.flatMap(({ known }) => known.slice(-2));
    const late = logInMeanwhile(scene, user);
    await endWatched(scene, tokens, () => remove(user));
    const done = await untilAnswered(() => remove(user));
    for (const one of held) {
      one.isOver = true;
      await tryDead(scene, one);
    }
    await askEverywhere(scene, tokens);
    await late;
    return done !== null;
  }

  /** The user is nowhere any more, whoever asks. @param {User} user */
  async function askForTheDeleted(user) {
    await logInMeanwhile(scene, user);
    await exportUser(user);
    const late = () => scene.ask.changeScope(caller, scene.replica(), user, 'read', how());
    if (scene.chance(0.5)) await untilAnswered(late);
    if (scene.chance(0.5)) await untilAnswered(() => remove(user));
  }

  /** Somebody in the place of another, under the same name or a new one. @param {User} before */
  async function addInPlaceOf(before) {
    added += 1;
    const isHeir = scene.chance(0.5);
    const turn = isHeir ? before.turn + 1 : 0;
    const [original = ''] = before.username.split('+');
    const username = isHeir ? before.username : `${original}+${added}`;
    const whose = {
      username,
      label: turn === 0 ? username : `${username} (${turn + 1})`,
      scope: scene.pick(['', 'read write']),
    };
    const fresh = { ...whose, password: passwordOf(0, { turn }), heir: isHeir ? before.label : null };
    const reply = await untilAnswered(() => scene.ask.addUser(caller, scene.replica(), fresh, how()));
    // One who was added by a request without an answer has the name, and nobody knows the id.
    if (reply?.outcome !== 'ok' || reply.sub === undefined) return;
    const user = newUser({ ...whose, turn, id: reply.sub });
    scene.users.splice(scene.users.indexOf(before), 1, user);
    await logInMeanwhile(scene, user);
  }

  return {
    /** Deletes one user for good, and adds another. */
    deleteOne: async () => {
      const user = pickUser();
      if (user.isBusy) return;
      user.isBusy = true;
      await exportUser(user);
      if (!(await deleteWatched(user))) return;
      await askForTheDeleted(user);
      await addInPlaceOf(user);
    },
  };
}
