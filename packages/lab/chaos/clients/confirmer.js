// @ts-check
// Someone who gives the password once more (RFC 9470): the access token of that answer tells when, as do those that it is reissued as, and
// what comes of a refresh tells of the login.
import { notice, open, refresh } from './holding.js';
import { leave } from './leaving.js';
import { passwordOf } from './scene.js';
import { askEverywhere } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */
/** @typedef {import('./scene.js').Token} Token */

/** `auth_time` counts seconds: by then it is another one than that of the login. */
const ANOTHER_SECOND_MS = { least: 1100, most: 2500 };

/** A question that is not answered is asked again, so often. */
const TRIES = 20;

/** What is asked of `max_age` beside the token's own age, in seconds. */
const BESIDE = [-2, -1, 0, 1, 30];

/** @param {Scene} scene */
export async function confirmer(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const { access: before } = held;
  await scene.wait(scene.between(ANOTHER_SECOND_MS.least, ANOTHER_SECOND_MS.most));
  const stepped = await confirm(scene, held);
  if (stepped === null) return;
  await askForRecent(scene, held, [before, stepped]);
  await refresh(scene, held);
  const { access: refreshed } = held;
  if (held.isOver) return;
  await Promise.all([
    askForRecent(scene, held, [stepped, refreshed]),
    askEverywhere(scene, [before, stepped, refreshed]),
    scene.ask.list(held.caller, scene.replica(), stepped),
  ]);
  if (scene.chance(0.3)) await ride(scene, held, stepped);
  if (scene.isOver()) return;
  if (scene.chance(0.3)) await refresh(scene, held, { tabs: 3, lost: 0.5 });
  if (!held.isOver && scene.chance(0.7)) await leave(scene, held);
}

/** @param {Scene} scene @param {Held} held @returns {Promise<Token | null>} null for one who was not let in */
async function confirm(scene, held) {
  const { user, caller, access } = held;
  for (let attempt = 0; attempt < TRIES && !scene.isOver(); attempt += 1) {
    await scene.turn();
    if (scene.isOver()) return null;
    const { username, label, version } = user;
    const who = { username, label, version, password: passwordOf(version, user) };
    const reply = await scene.ask.reauthenticate(caller, scene.replica(), access, who);
    if (reply.error === 'invalid_credentials') user.wrongGuesses += 1;
    if (reply.tokens.access !== undefined) {
      held.known.push(reply.tokens.access);
      return reply.tokens.access;
    }
    if (reply.outcome === 'refused') return null;
    await scene.wait(scene.between(100, 600));
  }
  return null;
}

/** Asks for a password that was given about as long ago as each token tells. @param {Scene} scene @param {Held} held @param {Token[]} tokens */
async function askForRecent(scene, { caller }, tokens) {
  for (const token of tokens) {
    const age = Math.floor(Date.now() / 1000) - Number(token.claims['auth_time']);
    const maxAge = Math.max(0, age + scene.pick(BESIDE));
    await scene.ask.recentSession(caller, scene.replica(), token, maxAge);
  }
}

/** Goes on with what it is reissued as. @param {Scene} scene @param {Held} held @param {Token} stepped */
async function ride(scene, held, stepped) {
  const { iat, exp } = stepped.claims;
  await scene.waitUntil(exp - Math.floor((exp - iat) / 2) + scene.between(0.05, 2));
  if (scene.isOver()) return;
  const reply = await scene.ask.introspect(held.caller, scene.replica(), stepped);
  notice(held, reply);
  const { reissued } = reply.tokens;
  if (reissued !== undefined) await askForRecent(scene, held, [reissued]);
}
