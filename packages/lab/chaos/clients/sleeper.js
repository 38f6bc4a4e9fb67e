// @ts-check
// Sleepers: sessions that are left alone until shortly before or after something expires, and asked about then.
import { adopt, notice, open, refresh } from './holding.js';
import { askEverywhere } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */

/** How close to an instant the questions around it come. */
const AROUND_MS = [-1500, -300, -60, -15, -3, 0, 3, 15, 60, 300, 1500];

/** Asks around what happens to an access token: reissue, `exp`, the end of the grace. @param {Scene} scene */
export async function sleeper(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const { exp, iat } = held.access.claims;
  const half = exp - Math.floor((exp - iat) / 2);
  const instants = [half, exp, exp + scene.rules.grace].filter(() => scene.chance(0.6));
  const { access } = held;
  for (const instant of instants) {
    await scene.waitUntil(instant - 2);
    await askAround(scene, held, access, instant);
    if (scene.isOver()) return;
  }
  if (scene.chance(0.5)) await ride(scene, held);
}

/** Goes on by reissued tokens alone, as long as there are any. @param {Scene} scene @param {Held} held */
async function ride(scene, held) {
  while (!scene.isOver()) {
    const { access } = held;
    await scene.waitUntil(access.claims['exp'] - scene.between(0.1, 12));
    await askBoth(scene, held, access);
    if (held.access === access) break;
  }
  await askAround(scene, held, held.access, held.access.claims['exp']);
}

/** Keeps a session until its very end, and asks then. @param {Scene} scene */
export async function elder(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  const end = held.access.claims['session_exp'];
  const stepSeconds = scene.rules.refreshTtl * scene.between(0.3, 0.9);
  while (!held.isOver && !scene.isOver() && Date.now() / 1000 + stepSeconds < end - 1) {
    await scene.wait(1000 * stepSeconds);
    await refresh(scene, held);
  }
  if (held.isOver || scene.isOver()) return;
  await scene.waitUntil(end - scene.between(0.5, 2));
  await refresh(scene, held);
  await askAround(scene, held, held.access, end);
  if (!scene.isOver()) await scene.ask.refresh(held.caller, scene.replica(), held.refresh);
}

/** Lets a refresh token expire, or all but. @param {Scene} scene */
export async function oversleeper(scene) {
  const held = await open(scene, { honest: true });
  if (held === null) return;
  await scene.waitUntil(held.refresh.claims['exp'] + scene.between(-1, 1));
  if (scene.isOver()) return;
  const reply = await scene.ask.refresh(held.caller, scene.replica(), held.refresh);
  if (reply.outcome === 'ok') adopt(held, reply);
  await askBoth(scene, held, held.access);
}

/**
 * @param {Scene} scene
 * @param {Held} held
 * @param {Held['access']} access
 * @param {number} instant seconds since 1970
 */
async function askAround(scene, held, access, instant) {
  for (const ms of AROUND_MS) {
    if (scene.chance(0.4)) continue;
    await scene.waitUntil(instant + ms / 1000);
    if (scene.isOver()) return;
    await Promise.all([askEverywhere(scene, [access]), askBoth(scene, held, access)]);
  }
}

/** @param {Scene} scene @param {Held} held @param {Held['access']} access */
async function askBoth(scene, held, access) {
  const { ask, replica } = scene;
  const replies = await Promise.all([
    ask.session(held.caller, replica(), access),
    ask.introspect(held.caller, replica(), access),
    ...(scene.chance(0.3) ? [ask.list(held.caller, replica(), access)] : []),
  ]);
  for (const reply of replies) notice(held, reply);
}
