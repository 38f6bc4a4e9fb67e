// @ts-check
// Lets faults happen for a while: by seeded chance, mostly one at a time, and each undone before the next one hits the same.
import { setTimeout as sleep } from 'node:timers/promises';

import { DATABASE_FAULTS } from './faults/database.js';
import { NETWORK_FAULTS } from './faults/network.js';
import { REPLICA_FAULTS } from './faults/replicas.js';
import { createStage, wait } from './faults/stage.js';
import { createOutages } from './outages.js';

/** @typedef {import('./cluster.js').Cluster} Cluster */
/** @typedef {import('./replica.js').Replica} Replica */
/** @typedef {import('./faults/stage.js').Counts} Counts */
/** @typedef {import('./faults/stage.js').Fault} Fault */

/** @type {Record<string, Fault>} */
const FAULTS = { ...REPLICA_FAULTS, ...DATABASE_FAULTS, ...NETWORK_FAULTS };

export const FAULT_NAMES = Object.keys(FAULTS);

/** Between two faults, for the one that follows another and for the one that now and then comes on top. */
const PAUSES_MS = /** @type {const} */ ([
  [100, 400],
  [800, 2500],
]);

/** Of the time that a fault has taken, so much is added to the pause after it: a slow machine, which recovers slowly, answers in between. */
const RECOVERY_SHARE = 0.5;

/** Until what a fault would hit is free again. */
const RETRY_MS = 50;

/** So often each fault has its turn; the rest is by weight. */
export const DEAL_MS = 75_000;

/** How often whatever has not had its turn yet is picked first. */
const DUE_SHARE = 0.8;

/** What a fault takes that takes a replica away. */
const AWAY = 'away';

/**
 * @param {object} options
 * @param {Cluster} options.cluster
 * @param {import('./history.js').Recorder} options.recorder
 * @param {() => number} options.random
 * @param {string[]=} options.faults names; all of them unless given
 * @param {number} options.untilMs by the recorder's clock; faults under way then are still undone
 * @param {((line: string) => void)=} options.log
 * @param {AbortSignal=} options.signal ends it early
 * @param {import('./outages.js').Outages=} options.outages is told of each that lengthens replay windows
 * @returns {Promise<Counts>}
 */
export async function runFaults({
  cluster,
  recorder,
  random,
  faults = FAULT_NAMES,
  untilMs,
  log = () => undefined,
  signal = new AbortController().signal,
  outages = createOutages(),
}) {
  /** @type {Counts} */
  const counts = {
    faults: {},
    kills: { replica: 0, postgres: 0 },
    missed: 0,
    restarts: [],
    exits: [],
    refusals: 0,
  };
  const before = cluster.replicas.map(({ exits, refusals }) => ({
    exits: exits.length,
    refusals: refusals(),
  }));
  /** @type {Set<string>} */
  const taken = new Set();
  /** @param {Replica} replica */
  const isSpared = (replica) => replica.isUp() && !taken.has(replica.name);
  const stopping = new AbortController();
  const due = createDue(faults, recorder.now);

  /** @param {readonly [number, number]} pause */
  async function run([low, high]) {
    const isOver = () => signal.aborted || stopping.signal.aborted || recorder.now() >= untilMs;
    const pause = (tookMs = 0) => wait(low + random() * (high - low) + RECOVERY_SHARE * tookMs, signal);
    await pause();
    while (!isOver()) {
      const name = pickName({ due: due.names(), faults, random });
      const turn = pickTurn({ name, cluster, random, taken, isSpared });
      if (turn === null) {
        await sleep(RETRY_MS);
        continue;
      }
      const { fault, replica, claims } = turn;
      for (const claim of claims) taken.add(claim);
      const times = counts.faults[name] ?? 0;
      const since = recorder.now();
      await fault.run(
        createStage({ name, cluster, replica, recorder, counts, random, isSpared, log, signal, outages }),
      );
      // One that waited in vain for its message has not had its turn.
      if ((counts.faults[name] ?? 0) > times) due.done(name);
      for (const claim of claims) taken.delete(claim);
      await pause(recorder.now() - since);
    }
  }

  // One that fails stops the others too, but only after they have undone what they did.
  const runs = PAUSES_MS.map((pause) =>
    run(pause).catch((error) => {
      stopping.abort();
      throw error;
    }),
  );
  for (const end of await Promise.allSettled(runs)) if (end.status === 'rejected') throw end.reason;
  await Promise.all(cluster.replicas.map((replica) => replica.start()));
  for (const [place, { exits, refusals }] of cluster.replicas.entries()) {
    counts.exits.push(...exits.slice(before[place]?.exits));
    counts.refusals += refusals() - (before[place]?.refusals ?? 0);
  }
  return counts;
}

/**
 * Deals each fault once, and all of them again after a while, but not before each has had its turn.
 *
 * @param {string[]} faults
 * @param {() => number} now
 */
function createDue(faults, now) {
  let due = new Set(faults);
  let dealtAt = now();
  return {
    /** Those that have not had their turn. */
    names: () => {
      if (due.size === 0 && now() - dealtAt > DEAL_MS) {
        dealtAt += DEAL_MS;
        due = new Set(faults);
      }
      return [...due];
    },
    /** @param {string} name */
    done: (name) => {
      due.delete(name);
    },
  };
}

/**
 * @param {{ name: string, cluster: Cluster, random: () => number, taken: Set<string>,
 *   isSpared: (replica: Replica) => boolean }} options
 * @returns {{ fault: Fault, replica: Replica, claims: string[] } | null} null when what was picked cannot be hit now
 */
function pickTurn({ name, cluster: { replicas }, random, taken, isSpared }) {
  const fault = FAULTS[name];
  if (fault === undefined) throw new Error(`there is no fault ${name}`);
  const candidates = fault.hits === 'postgres' ? replicas : replicas.filter(isSpared);
  const replica = candidates[Math.floor(random() * candidates.length)];
  if (replica === undefined) return null;
  const hit = { replica: [replica.name], postgres: ['postgres'], all: replicas.map((each) => each.name) }[
    fault.hits
  ];
  const claims = fault.takesAway === true ? [...hit, AWAY] : hit;
  return claims.some((claim) => taken.has(claim)) ? null : { fault, replica, claims };
}

/**
 * What is due is picked evenly: by weight the seldom ones would come last, or never.
 *
 * @param {{ due: string[], faults: string[], random: () => number }} options
 */
function pickName({ due, faults, random }) {
  if (due.length > 0 && random() < DUE_SHARE) return due[Math.floor(random() * due.length)] ?? '';
  const total = faults.reduce((sum, name) => sum + (FAULTS[name]?.weight ?? 0), 0);
  let left = random() * total;
  return faults.find((name) => (left -= FAULTS[name]?.weight ?? 0) < 0) ?? faults[0] ?? '';
}
