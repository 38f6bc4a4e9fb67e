// @ts-check
// The drill under Patroni: the primary is lost in one way after another, Patroni chooses another, and the old one comes back.
import { setTimeout as sleep } from 'node:timers/promises';

import { createRandom } from '../../../shared/random.js';
import { runCaller } from '../caller.js';
import { comesTrue, sample, seconds, underLoad, untilEnding, untilLiving } from '../waits.js';
import { KINDS } from './kinds.js';
import { startPulse } from './pulse.js';
import { startVigil } from './vigil.js';

/** An audit asks again about so many of the earlier ends; the last one about all. */
const EARLIER_ENDS = 100;

/**
 * Callers are slower than in the plain drill, since a round takes a minute and everything that is asked is kept; and most of
 * their ends cost no login, for which a busy machine lacks the room.
 */
const PACE = { paceMs: 300, pauseMs: 400, revokes: 0.7 };

/** How long a busy machine is given to show some load. */
const LOAD_PATIENCE_MS = 120_000;
const BACK_WITHIN_MS = 300_000;

/** An honest client asks until it is told, however long an outage lasts. */
const PATIENCE_MS = 600_000;

/** Some go to sleep when they get no answer, and wake after the outage: within the window of 30 s, which begins anew then. */
const SLEEPERS = 0.3;
const SLEEP_MS = 15_000;

/** @typedef {import('./kinds.js').KindName} KindName */
/** @typedef {{ cluster: import('./cluster.js').Cluster }} Databases */
/** @typedef {import('../stage.js').StageOf<Databases>} Stage */
/** @typedef {Stage & { random: () => number, pulse: import('./pulse.js').Pulse, log: (line: string) => void }} Scene */

/**
 * @typedef {object} Round
 * @property {KindName} kind
 * @property {import('./pulse.js').Silences} silenceMs
 * @property {number} ledAfterMs until another server had the lease and was a primary
 * @property {number} acknowledged ends, in this round
 */

/** @typedef {Awaited<ReturnType<typeof runPatroniDrill>>} Course */

/**
 * @param {Stage} stage
 * @param {{ kinds: KindName[], rounds: number, seed: number, log: (line: string) => void }} options
 */
export async function runPatroniDrill(stage, { kinds, rounds, seed, log }) {
  const random = createRandom(seed);
  const pulse = startPulse(stage);
  const vigil = startVigil(stage, random);
  const scene = { ...stage, random, pulse, log };
  let isOver = false;
  const world = { ...scene, isOver: () => isOver, ...PACE, patienceMs: PATIENCE_MS, rest };
  const work = Promise.all(stage.users.map((user, place) => runCaller(world, place + 1, user))).finally(
    () => (isOver = true),
  );
  // Awaited below; until then a caller's failure is not to end the process.
  work.catch(() => undefined);

  async function rest() {
    if (random() > SLEEPERS) return;
    const moment = stage.now();
    await comesTrue(() => isOver || pulse.hasAnsweredSince(moment), Infinity);
    await sleep(SLEEP_MS * random());
  }

  /** @type {Round[]} */
  const course = [];
  let isBroken = false;
  try {
    for (let number = 1; number <= rounds && !isOver; number += 1)
      for (const kind of kinds) course.push(await playRound(scene, kind, number));
  } catch (error) {
    isBroken = true;
    stage.ledger.wrong.push(
      `the drill cannot go on: ${error instanceof Error ? error.message : String(error)}`,
    );
  } finally {
    isOver = true;
    await vigil.stop();
    await pulse.stop();
  }
  await work;
  // Of replicas that answer no more nothing is to be learned.
  if (isBroken) return { rounds: course, asked: vigil.asked(), uncertain: 0 };
  await stage.audit.ended(stage.ledger.ended);
  await stage.audit.living();
  return { rounds: course, asked: vigil.asked(), uncertain: await stage.audit.uncertain() };
}

/**
 * @param {Scene} scene
 * @param {KindName} name
 * @param {number} number
 * @returns {Promise<Round>}
 */
async function playRound(scene, name, number) {
  const { cluster, ledger, audit, pulse, now, noteFault, random, log } = scene;
  const { fault, isKill, strike, mend } = KINDS[name];
  const leader = await cluster.untilWhole();
  await untilBack(scene);
  await underLoad(scene, LOAD_PATIENCE_MS);
  const acknowledgedBefore = ledger.ended.length;
  const wrongBefore = ledger.wrong.length;
  const blow = { leader, network: cluster.network, number };
  pulse.begin();
  const startedAt = now();
  await strike(blow);
  const next = await cluster.untilLed(leader);
  const ledAfterMs = now() - startedAt;
  const timeline = await next.timeline();
  const acknowledgedByOld = ledger.ended.length;
  ledger.watchFrom(now());
  await untilBack(scene);
  await untilEnding(ledger);
  await audit.ended(ledger.ended.slice(acknowledgedBefore));
  await mend(blow);
  const last = await cluster.untilWhole();
  if ((await last.timeline()) < timeline) {
    const lost = ledger.ended.length - acknowledgedByOld;
    audit.counts.lost += lost;
    throw new Error(
      `Patroni let ${last.name} lead again with the history that it had before, and threw away ${lost} ends that ${next.name} had acknowledged; the replicas, which know of ${next.name}'s timeline, answer 503`,
    );
  }
  await untilBack(scene);
  noteFault({
    name: fault,
    target: leader.name,
    isKill,
    start: startedAt,
    end: now(),
  });
  const earlier = sample(ledger.ended.slice(0, acknowledgedBefore), EARLIER_ENDS, random);
  await audit.ended([...earlier, ...ledger.ended.slice(acknowledgedBefore)]);
  await untilLiving(scene);
  await audit.living();
  for (const what of ledger.wrong.slice(wrongBefore)) log(`WRONG: ${what}`);
  const silenceMs = pulse.longestMs();
  const acknowledged = ledger.ended.length - acknowledgedBefore;
  log(
    `${name} ${number}: ${leader.name} gave way to ${next.name} after ${seconds(ledAfterMs)}; no introspection for ` +
      `${seconds(silenceMs.introspect)}, no refresh for ${seconds(silenceMs.refresh)}, no login for ${seconds(silenceMs.login)}; ${acknowledged} ends`,
  );
  return { kind: name, silenceMs, ledAfterMs, acknowledged };
}

/** Waits until all replicas answer again. @param {Scene} scene */
async function untilBack({ pulse, now }) {
  const moment = now();
  if (!(await comesTrue(() => pulse.hasAnsweredSince(moment), BACK_WITHIN_MS)))
    throw new Error(`a replica has not answered again within ${BACK_WITHIN_MS / 1000} s`);
}
