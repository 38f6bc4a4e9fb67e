// @ts-check
// How a client gets a session and keeps it: by logging in, and by refreshing as an honest client does.
import { passwordOf } from './scene.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */
/** @typedef {import('./scene.js').User} User */
/** @typedef {import('./scene.js').Reply} Reply */

/** After so much of the window since its first try an honest client sends a refresh token no more. */
export const SAFE_SHARE_OF_WINDOW = 0.6;

/** The rest of an account's wrong guesses is left to it. */
const MOST_WRONG_GUESSES = 12;

/**
 * Logs in, as some user, as often as it takes.
 *
 * @param {Scene} scene
 * @param {{ honest: boolean, user?: User }} options
 * @returns {Promise<Held | null>} null when the run is over before, or when this very user is not let in
 */
export async function open(scene, { honest, user }) {
  const caller = scene.newCaller();
  while (!scene.isOver()) {
    await scene.turn();
    if (scene.isOver()) return null;
    const who = user ?? scene.pick(scene.users);
    if (user !== undefined && who.wrongGuesses >= MOST_WRONG_GUESSES) return null;
    if (who.wrongGuesses >= MOST_WRONG_GUESSES || (who.isBusy && scene.chance(0.8))) continue;
    const held = hold(scene, who, await logIn(scene, who, { honest, caller }));
    if (held !== null) return held;
    if (user !== undefined && scene.chance(0.5)) return null;
    await scene.wait(scene.between(100, 600));
  }
  return null;
}

/**
 * @param {Scene} scene
 * @param {User} user
 * @param {{ honest: boolean, caller?: Held['caller'] }} options
 */
export async function logIn(scene, user, { honest, caller = scene.newCaller() }) {
  const { version, username, label, id, scope } = user;
  const who = { username, label, id, scope, password: passwordOf(version, user), version, honest };
  const reply = await scene.ask.login(caller, scene.replica(), who);
  if (reply.error === 'invalid_credentials') user.wrongGuesses += 1;
  return { ...reply, caller };
}

/**
 * @param {Scene} scene
 * @param {User} user
 * @param {Pick<Reply, 'tokens'> & { caller: Held['caller'] }} reply to a login, or to a change of password
 * @returns {Held | null} null for one that was not let in
 */
export function hold(scene, user, { caller, tokens: { access, refresh } }) {
  if (access === undefined || refresh === undefined) return null;
  /** @type {Held} */
  const held = {
    user,
    caller,
    sid: access.sid,
    access,
    refresh,
    known: [access],
    spent: [],
    refreshedAt: scene.now(),
    isOver: false,
  };
  scene.remember(held);
  return held;
}

/**
 * Refreshes in so many tabs at once, some of which lose their answer, and again until there is an answer; gives the
 * session up when there is none in time, since the token may be spent by then and would return as theft.
 *
 * @param {Scene} scene
 * @param {Held} held
 * @param {{ tabs?: number, lost?: number }} how `lost`: the share of answers that are not waited for
 */
export async function refresh(scene, held, { tabs = 1, lost = 0 } = {}) {
  const { refresh: token } = held;
  const firstTryAt = scene.now();
  const lastTryAt = firstTryAt + SAFE_SHARE_OF_WINDOW * 1000 * scene.rules.replayWindow;
  held.refreshedAt = firstTryAt;
  while (scene.now() <= lastTryAt && !scene.isOver()) {
    const replies = await Promise.all(
      Array.from({ length: tabs }, () =>
        scene.ask.refresh(held.caller, scene.replica(), token, {
          dropAfterMs: scene.chance(lost) ? scene.between(0, 6) : undefined,
        }),
      ),
    );
    const ok = replies.find(({ outcome }) => outcome === 'ok');
    if (ok !== undefined) return adopt(held, ok);
    if (replies.some(({ error }) => isFinal(error))) break;
    await scene.wait(scene.between(20, 400));
  }
  held.isOver = true;
}

/** @param {string | null} error */
function isFinal(error) {
  return error === 'invalid_token' || error === 'refresh_reused' || error === 'refresh_superseded';
}

/** @param {Held} held @param {Reply} reply */
export function adopt(held, { tokens: { access, refresh } }) {
  if (access === undefined || refresh === undefined) return;
  if (refresh.id !== held.refresh.id) held.spent.push(held.refresh);
  held.access = access;
  held.refresh = refresh;
  held.known.push(access);
}

/** What came with the answer to an access token. @param {Held} held @param {Reply} reply */
export function notice(held, { tokens: { reissued } }) {
  if (reissued === undefined || held.known.includes(reissued)) return;
  held.known.push(reissued);
  held.access = reissued;
}
