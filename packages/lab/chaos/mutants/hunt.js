// @ts-check
// A hunt: clients and faults as in any run, weighted so that a mutant shows itself soon, until the checker has caught it.
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { check } from '../checker.js';
import { runClients } from '../clients.js';
import { openCluster, readDatabase } from '../cluster.js';
import { runFaults } from '../faults.js';
import { createRecorder } from '../history.js';
import { createRandom } from '../../shared/random.js';
import { createTerm } from '../term.js';
import { buildMutant, DIST } from './build.js';
import { openDatabases } from './databases.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */
/** @typedef {import('../checker.js').Violation} Violation */

/**
 * @typedef {object} Hunt what makes the mutant visible
 * @property {Partial<import('../clients.js').Profile>} profile
 * @property {number=} count lives at once
 * @property {string[]=} faults
 * @property {number=} replicas
 * @property {number=} shiftMs what the system clock of the first replica is wrong by
 * @property {number=} leastSeconds before that it cannot show: something has to expire first
 * @property {boolean=} killsPostgres such hunts have a PostgreSQL of their own
 */

/**
 * @typedef {object} Catch
 * @property {string} name
 * @property {boolean} isCaught by whichever rule: what it breaks shows in several, and the service itself is caught by none
 * @property {string} caughtBy letters of all rules that were broken, the first first; empty for none
 * @property {number} afterOperations up to the first wrong answer
 * @property {number} afterMs the same in time, from the first operation on
 * @property {number} operations done by the end of the hunt
 * @property {number} seed
 * @property {string} message of that answer
 * @property {string[]} breaches answers that the contract does not know
 */

/** Between two looks at the history. */
const LOOK_MS = 250;

/** Much longer than any mutant needs, where the machine gets as much done meanwhile. */
const PATIENCE_MS = 240_000;
const LEAST_OPERATIONS = 20_000;

/**
 * @param {object} options
 * @param {import('./databases.js').Databases} options.databases
 * @param {Mutant | null} options.mutant null for the build as it is, which is never to be caught
 * @param {Hunt=} options.hunt
 * @param {number} options.seed
 * @param {import('../history.js').Rules} options.rules
 * @param {(line: string) => void=} options.log
 * @param {number=} options.limit of operations
 * @param {number=} options.withinMs a slow machine gets more time, unless it gets this many operations done
 * @param {number=} options.least
 * @returns {Promise<Catch>}
 */
export async function huntMutant({
  databases: shared,
  mutant,
  hunt = mutant?.hunt,
  seed,
  rules,
  log = () => undefined,
  limit = 100_000,
  withinMs = PATIENCE_MS,
  least = LEAST_OPERATIONS,
}) {
  if (hunt === undefined) throw new Error('nothing to hunt');
  const { replicas = 2, shiftMs = 0, killsPostgres = false } = hunt;
  /** @type {(() => Promise<unknown>)[]} */
  const closers = [];
  try {
    const databases = killsPostgres ? await openDatabases() : shared;
    if (killsPostgres) closers.push(databases.close);
    const build = mutant === null ? null : await buildMutant(mutant);
    if (build !== null) closers.push(build.remove);
    const postgres = await databases.takeDatabase();
    const cluster = await openCluster({ dist: build?.dist ?? DIST, replicas, rules, postgres, log });
    closers.push(cluster.close);
    if (shiftMs !== 0) await shiftClock(cluster, shiftMs);
    const recorder = createRecorder({ seed, rules });
    const term = createTerm(recorder.now, withinMs);
    const isOver = () => {
      const { length } = recorder.history().operations;
      return length >= limit || term.isOver(() => length >= least);
    };
    const breaches = await chase({ hunt, cluster, recorder, isOver, untilMs: term.lastMs, log });
    return { ...describe(mutant, recorder.history()), breaches };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** @param {import('../cluster.js').Cluster} cluster @param {number} shiftMs */
async function shiftClock({ replicas: [first] }, shiftMs) {
  await first?.kill();
  await first?.start({ shiftMs });
}

/**
 * @typedef {object} Chase
 * @property {Hunt} hunt
 * @property {import('../cluster.js').Cluster} cluster
 * @property {import('../history.js').Recorder} recorder
 * @property {() => boolean} isOver
 * @property {number} untilMs when it is over at the latest
 * @property {(line: string) => void} log
 */

/**
 * Round after round until the checker has caught something: a round ends when it seems so, and only a history without
 * questions under way says for certain.
 *
 * @param {Chase} chase
 */
async function chase({ recorder, isOver, ...options }) {
  /** @type {string[]} */
  const breaches = [];
  for (let number = 0; ; number += 1) {
    breaches.push(...(await runRound({ recorder, isOver, number, ...options })));
    await readDatabase(recorder, options.cluster);
    if (isOver() || check(recorder.history()).violations.length > 0) return breaches;
  }
}

/** @param {Chase & { number: number }} round */
async function runRound({ hunt, cluster, recorder, isOver, untilMs, log, number }) {
  const { profile, count = 12, faults = [] } = hunt;
  const seed = recorder.history().seed + 2 * number;
  const stopping = new AbortController();
  // Everyone who waits listens.
  setMaxListeners(0, stopping.signal);
  const common = { cluster, recorder, untilMs, signal: stopping.signal };
  const work = runClients({
    ...common,
    random: createRandom(seed),
    count,
    profile,
    verifies: false,
    beside: async (outages) => {
      if (faults.length > 0)
        await runFaults({ ...common, random: createRandom(seed + 1), faults, outages, log });
    },
  });
  try {
    // Should clients or faults break, that ends the hunt at once.
    for (let suspects = new Set(); !isOver();) {
      await Promise.race([sleep(LOOK_MS), work]);
      await readDatabase(recorder, cluster);
      const wrong = check(recorder.history()).violations.map(({ operations: [id] }) => id);
      // What excuses an answer may still be under way: it counts when it still looks wrong a moment later.
      if (wrong.some((id) => suspects.has(id))) break;
      suspects = new Set(wrong);
    }
  } finally {
    stopping.abort();
    await Promise.allSettled([work]);
  }
  const { told } = await work;
  return told;
}

/**
 * @param {Mutant | null} mutant
 * @param {import('../history.js').History} history
 * @returns {Omit<Catch, 'breaches'>}
 */
function describe(mutant, history) {
  const { violations } = check(history);
  const places = new Map(history.operations.map(({ id }, place) => [id, place]));
  const found = violations
    .map((violation) => ({ violation, place: places.get(violation.operations[0] ?? -1) ?? places.size - 1 }))
    .toSorted((a, b) => a.place - b.place);
  const [first] = found;
  const caughtBy = [...new Set(found.map(({ violation }) => violation.rule))].join('');
  const { operations, seed } = history;
  return {
    name: mutant?.name ?? 'control',
    isCaught: caughtBy !== '',
    caughtBy,
    afterOperations: first === undefined ? operations.length : first.place + 1,
    afterMs: first === undefined ? Infinity : (operations[first.place]?.end ?? Infinity),
    operations: operations.length,
    seed,
    message: first?.violation.message ?? '',
  };
}
