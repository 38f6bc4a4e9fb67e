// @ts-check
// Someone who changes the password, since a thief has a copy of the session: the thief is out, and the user stays in, also when the
// answer was lost.
import { hold, logIn, open, refresh } from './holding.js';
import { leave } from './leaving.js';
import { passwordOf } from './scene.js';
import { askEverywhere, tryDead, watch } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */
/** @typedef {import('./scene.js').Reply} Reply */

/** The user asks again only so long after the first try: after the window nobody repeats a change. */
const SAFE_SHARE_OF_WINDOW = 0.7;

/** Longer than hashing twice mostly takes: some answers are lost before the change, and some after it. */
const LOST_WITHIN_MS = 1500;

/** @param {Scene} scene */
export async function renewer(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const { user } = held;
  if (user.isBusy) return;
  user.isBusy = true;
  // So that an access token of another answer is left, which no one has named in a request.
  if (scene.chance(0.6)) await refresh(scene, held);
  if (!held.isOver) await renew(scene, held);
  user.isBusy = false;
}

/** @param {Scene} scene @param {Held} held */
async function renew(scene, held) {
  const { user } = held;
  const stop = watch(scene, held.known);
  const version = user.version + 1;
  const replies = await change(scene, held, version);
  held.isOver = true;
  const told = replies.filter(({ outcome }) => outcome === 'ok').map((reply) => reply.tokens);
  const current = told[0] === undefined ? null : hold(scene, user, { caller: held.caller, tokens: told[0] });
  if (current === null) await find(scene, held, version);
  else user.version = version;
  const robber = { ...held, caller: scene.newCaller() };
  await Promise.all([
    tryDead(scene, robber),
    scene.ask.refresh(robber.caller, scene.replica(), held.refresh),
    askEverywhere(scene, [
      ...held.known,
      ...told.flatMap(({ access }) => (access === undefined ? [] : [access])),
    ]),
  ]);
  await stop();
  if (current !== null) await goOn(scene, current, held);
}

/**
 * Asks until there is an answer; perhaps in two tabs at once, and perhaps once more although there was one.
 *
 * @param {Scene} scene
 * @param {Held} held
 * @param {number} version of the new password
 * @returns {Promise<Reply[]>}
 */
async function change(scene, { user, caller, access }, version) {
  const { username, label, id, scope } = user;
  const current = { password: passwordOf(user.version, user), version: user.version };
  const how = {
    username,
    label,
    id,
    scope,
    current,
    next: { password: passwordOf(version, user), version },
    honest: true,
  };
  const lastTryAt = scene.now() + SAFE_SHARE_OF_WINDOW * 1000 * scene.rules.replayWindow;
  /** @type {Reply[]} */
  const replies = [];
  let isDone = false;
  while (!isDone && scene.now() <= lastTryAt && !scene.isOver()) {
    const asked = await Promise.all(
      Array.from({ length: scene.chance(0.2) ? 2 : 1 }, () =>
        scene.ask.changePassword(caller, scene.replica(), access, how, {
          dropAfterMs: scene.chance(0.4) ? scene.between(0, LOST_WITHIN_MS) : undefined,
        }),
      ),
    );
    replies.push(...asked);
    isDone = replies.some(({ outcome }) => outcome !== 'unknown') && scene.chance(0.4);
    await scene.wait(scene.between(0, 300));
  }
  return replies;
}

/** Nobody has answered: which password is in force? @param {Scene} scene @param {Held} held @param {number} version of the new one */
async function find(scene, { user }, version) {
  const before = user.version;
  while (!scene.isOver()) {
    user.version = version;
    const { outcome } = await logIn(scene, user, { honest: true });
    if (outcome === 'ok') return;
    user.version = before;
    if (outcome === 'refused') return;
    await scene.wait(scene.between(100, 400));
  }
}

/** The new session lives on, and the old one stays dead, also when the window is over. @param {Scene} scene @param {Held} current @param {Held} old */
async function goOn(scene, current, old) {
  await refresh(scene, current);
  if (scene.chance(0.3)) {
    await scene.wait(1000 * scene.rules.replayWindow);
    if (!scene.isOver()) await scene.ask.refresh(old.caller, scene.replica(), old.refresh);
  }
  if (!current.isOver) await refresh(scene, current);
  if (!current.isOver && scene.chance(0.5)) await leave(scene, current);
  current.isOver = true;
}
