// @ts-check
// The drill: a primary is killed under load, a standby takes over, and the dead one comes back.
import { setTimeout as sleep } from 'node:timers/promises';

import { createRandom } from '../../shared/random.js';
import { runCaller } from './caller.js';
import { misdirect } from './misdirection.js';
import { sample, seconds, underLoad, untilEnding, untilLiving, untilReady } from './waits.js';
import { createWitness } from './witness.js';

/** Every answer comes within 2.5 s; this process, too, waits for a core. */
const ANSWERED_WITHIN_MS = 9000;

/** An audit after each promotion asks again about so many of the earlier ends; the last one about all. */
const EARLIER_ENDS = 100;

/** How often the standbys lose their power, too, a moment before the primary: what they had on disk is then all there is. */
const EVERY_BLACKOUT = 3;
const BLACKOUT_MS = 300;

/** How often the switch leads to a standby for a while before it is promoted. */
const EVERY_WRONG = 4;

/** @typedef {import('./plain.js').PlainStage} Stage */
/** @typedef {Stage & { random: () => number, log: (line: string) => void }} Scene */
/** @typedef {{ read: number, refresh: number, end: number }} Outage milliseconds from the primary's death to the first answer */

/** @typedef {Awaited<ReturnType<typeof runDrill>>} Course */

/**
 * @param {Stage} stage
 * @param {{ promotions: number, seed: number, log: (line: string) => void }} options
 */
export async function runDrill(stage, { promotions, seed, log }) {
  const scene = { ...stage, random: createRandom(seed), log };
  const withoutStandby = await loseStandbys(scene);
  let isOver = false;
  const callers = stage.users.map((user, place) =>
    runCaller({ ...scene, isOver: () => isOver }, place + 1, user),
  );
  const work = Promise.all(callers).finally(() => (isOver = true));
  // Awaited below; until then a caller's failure is not to end the process.
  work.catch(() => undefined);
  const outages = [];
  const wrongs = [];
  try {
    for (let number = 1; number <= promotions && !isOver; number += 1) {
      await underLoad(scene);
      if (number % EVERY_WRONG === 1) {
        wrongs.push(await misdirect(scene));
        await underLoad(scene);
      }
      outages.push(await failOver(scene, number));
    }
  } finally {
    isOver = true;
  }
  await work;
  await stage.audit.ended(stage.ledger.ended);
  await stage.audit.living();
  return { withoutStandby, outages, wrongs, uncertain: await stage.audit.uncertain() };
}

/**
 * Kills the primary under load, promotes a standby, brings the dead one back, and asks about what had ended.
 *
 * @param {Scene} scene
 * @param {number} number
 * @returns {Promise<Outage>}
 */
async function failOver(scene, number) {
  const { group, front, replicas, ledger, audit, now, noteFault, random, log } = scene;
  const acknowledgedBefore = ledger.ended.length;
  const sinceLast = ledger.ended.slice(audit.counts.endsKnown);
  const before = group.primary();
  const dark = number % EVERY_BLACKOUT === 2 ? group.standbys() : [];
  for (const standby of dark) {
    noteFault({ name: 'standby killed', target: standby.name, isKill: false });
    await standby.kill();
  }
  if (dark.length > 0) await sleep(BLACKOUT_MS);
  noteFault({ name: 'primary killed', target: before.name, isKill: true });
  await before.kill();
  ledger.watchFrom(now());
  for (const standby of dark) await standby.start();
  const old = await group.promote();
  await front.follow(group.primary());
  await untilReady(replicas);
  const how = number % 2 === 0 ? 'copy' : 'rewind';
  await group.rejoin(old, how);
  const earlier = sample(ledger.ended.slice(0, acknowledgedBefore), EARLIER_ENDS, random);
  await audit.ended([...earlier, ...sinceLast, ...ledger.ended.slice(acknowledgedBefore)]);
  await untilLiving(scene);
  await audit.living();
  await untilEnding(ledger);
  const outage = ledger.firstAnswersMs();
  log(
    `promotion ${number}: ${old.name} is dead, ${group.primary().name} is the primary; answers after ` +
      `${seconds(outage.read)}, ends after ${seconds(outage.end)}; ${old.name} is back (${how})`,
  );
  return outage;
}

/**
 * A standby that is away: an end is answered 503, may have happened, and questions are answered as ever.
 *
 * @param {Scene} scene
 */
async function loseStandbys(scene) {
  const { group, ledger, noteFault } = scene;
  const { openSession, end, introspect } = createWitness(scene);
  const token = await openSession();
  const away = group.standbys();
  for (const standby of away) {
    noteFault({ name: 'standby killed', target: standby.name, isKill: false });
    await standby.kill();
  }
  const ending = await end(token);
  const meanwhile = await introspect(token);
  for (const standby of away) await standby.start();
  await group.untilInStep();
  const afterwards = await introspect(token);
  const tookMs = ending.end - ending.start;
  if (ending.status !== 503) ledger.wrong.push(`an end that no standby has was answered ${ending.status}`);
  if (tookMs > ANSWERED_WITHIN_MS)
    ledger.wrong.push(`an end without a standby took ${Math.round(tookMs)} ms`);
  if (meanwhile.outcome !== 'ok') ledger.wrong.push('no introspection while the standbys are away');
  return {
    status: ending.status,
    tookMs,
    activeMeanwhile: meanwhile.active === true,
    activeAfterwards: afterwards.active === true,
  };
}
