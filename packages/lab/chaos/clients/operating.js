// @ts-check
// The operator: disables and enables users, sets passwords, rotates, retires and prunes, with logins under way.
import { actorOf } from '../noted-events.js';
import { everyCycle } from './cycle.js';
import { logInMeanwhile } from './family.js';
import { isByLogin, passwordOf } from './scene.js';
import { endWatched, tryDead } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').User} User */
/** @typedef {import('../questions.js').Done} Done */
/** @typedef {Pick<import('../operator.js').Operator, 'disable' | 'enable' | 'setPassword' | 'retireKey' | 'rotateKey' | 'prune'>} Verbs */
/** @typedef {{ mark: () => number, add: (operation: Done) => unknown }} Recorder */

/** How often, in seconds; `retire` lists when, within each cycle: it ends everything, and some must live long. */
const PACE = { endings: 0.7, prune: 3, rotate: 9, retire: [4, 9, 14], retireCycle: 82 };

/** Sessions of one user whose end is watched. */
const WATCHED = 3;

/** @typedef {typeof PACE} Pace */

/**
 * @param {Scene} scene
 * @param {Verbs} verbs
 * @param {Recorder} recorder
 * @param {Partial<Pace>=} pace
 */
export function createOperating(scene, verbs, recorder, pace = {}) {
  const { endings, prune, rotate, retire, retireCycle } = { ...PACE, ...pace };

  /** @param {Partial<Done> & { kind: string }} what @param {(by: string) => Promise<unknown>} work */
  async function record(what, work) {
    const mark = recorder.mark();
    const start = scene.now();
    /** @type {Partial<Done>} */
    const told = {};
    const outcome = await work(actorOf(mark)).then(
      (isDone) => {
        if (isDone === false) told.isDone = false;
        return /** @type {const} */ ('ok');
      },
      (error) => {
        if (error.name !== 'DatabaseUnavailable') throw error;
        return /** @type {const} */ ('unknown');
      },
    );
    const end = scene.now();
    const common = { mark, replica: 'operator', client: 0, status: null, error: null };
    recorder.add({ ...what, ...told, ...common, start, end, outcome });
    return { outcome };
  }

  /** Whatever ends all sessions of a user, before the eyes of everybody. @param {User} user @param {() => Promise<{ outcome: 'ok' | 'unknown' }>} end */
  async function endAllOf(user, end) {
    const held = scene.remembered.filter((one) => one.user === user && !one.isOver).slice(-WATCHED);
    const late = scene.chance(0.7) ? logInMeanwhile(scene, user) : Promise.resolve([]);
    await endWatched(
      scene,
      held.map(({ access }) => access),
      end,
    );
    for (const one of held) await tryDead(scene, one);
    await late;
  }

  /** @param {User} user */
  async function disable(user) {
    const { username, label, id } = user;
    const about = { user: label, sub: id };
    await endAllOf(user, () => record({ kind: 'disable', ...about }, (by) => verbs.disable(username, by)));
    await logInMeanwhile(scene, user);
    await scene.wait(scene.between(0, 800));
    await untilDone(() => record({ kind: 'enable', ...about }, (by) => verbs.enable(username, by)));
  }

  /** @param {User} user */
  async function setPassword(user) {
    const { username, label, id } = user;
    const version = user.version + 1;
    const set = () =>
      record({ kind: 'password', user: label, sub: id, password: version }, (by) =>
        verbs.setPassword(username, passwordOf(version, user), by),
      );
    await endAllOf(user, set);
    // Its owner learns of it when it is certain.
    await untilDone(set);
    user.version = version;
  }

  /** @param {() => Promise<{ outcome: string }>} work */
  async function untilDone(work) {
    while (!scene.isOver() && (await work()).outcome === 'unknown') await scene.wait(200);
  }

  /** One who has something to lose, if there is. */
  function pickUser() {
    const living = scene.remembered.filter((held) => !held.isOver && !held.user.isBusy && isByLogin(held));
    return living.length > 0 && scene.chance(0.9) ? scene.pick(living).user : scene.pick(scene.users);
  }

  async function endUsers() {
    while (!scene.isOver()) {
      await scene.wait(1000 * endings * scene.between(0.3, 1.7));
      const user = pickUser();
      if (user.isBusy) continue;
      user.isBusy = true;
      await scene.pick([disable, setPassword])(user);
      user.isBusy = false;
    }
  }

  /** @param {number} seconds @param {() => Promise<unknown>} work */
  async function every(seconds, work) {
    while (!scene.isOver()) {
      await scene.wait(1000 * seconds * scene.between(0.7, 1.3));
      if (!scene.isOver()) await work();
    }
  }

  async function retireWatched() {
    const living = scene.remembered.filter(({ isOver }) => !isOver).slice(-4);
    const late = Promise.all(living.slice(0, 2).map(({ user }) => logInMeanwhile(scene, user)));
    const tokens = living.map(({ access }) => access);
    await endWatched(scene, tokens, () => record({ kind: 'retire-key' }, verbs.retireKey));
    await late;
  }

  return {
    run: () =>
      Promise.all([
        ...(endings > 0 ? [endUsers(), endUsers()] : []),
        ...(prune > 0 ? [every(prune, () => record({ kind: 'prune' }, verbs.prune))] : []),
        ...(rotate > 0 ? [every(rotate, () => record({ kind: 'rotate-key' }, verbs.rotateKey))] : []),
        everyCycle(scene, { at: retire, length: retireCycle }, retireWatched),
      ]),
  };
}
