// @ts-check
// One run against the service as it is: clients under faults, trials, drills and sweep on one cluster, and one history of all.
import { copyFile, mkdtemp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { openCluster, readDatabase } from './cluster.js';
import { drillRefreshes } from './drills/refreshes.js';
import { drillRestarts } from './drills/restarts.js';
import { LEAST_PER_MINUTE } from './floors.js';
import { createRecorder } from './history.js';
import { judge } from './judging.js';
import { runMixed } from './mixed.js';
import { createRandom } from '../shared/random.js';
import { sweepMessages } from './sweep.js';
import { createTerm } from './term.js';
import { runTrials } from './trials.js';

/** @typedef {import('./questions.js').Manners} Manners */
/** @typedef {import('./cluster.js').Cluster} Cluster */

export const PHASES = ['mixed', 'trials', 'drills', 'sweep'];

/**
 * Lives as short as the service allows: an access token lives half a minute at least, and a refresh token no shorter. One
 * reissue, so that its limit comes before the end of the session.
 *
 * @type {import('./history.js').Rules}
 */
export const RULES = {
  accessTtl: 30,
  refreshTtl: 30,
  sessionTtl: 60,
  grace: 5,
  reissueMax: 1,
  replayWindow: 10,
  issuer: 'http://gatehouse.chaos',
  audience: 'chaos',
};

/** Of each minute asked for. What clients under faults leave of it goes to drills, mutants, and starting, too. */
const TRIALS_SECONDS = 7.5;
const RESTARTS = 1.5;

/** Until a part that is to be done, not timed, is broken off. */
const PATIENCE_MS = 10 * 60_000;

/** @typedef {import('./judging.js').Told} Told */

/**
 * @typedef {object} Run
 * @property {import('./checker.js').Counts} counts
 * @property {Record<string, Record<string, number>>} outcomes by kind
 * @property {(import('./checker/findings.js').Violation & { around: Told[] })[]} violations the first of them
 * @property {Record<string, number>} violationsByRule
 * @property {import('./faults/stage.js').Counts | null} faults
 * @property {Awaited<ReturnType<typeof runTrials>> | null} trials
 * @property {Awaited<ReturnType<typeof drillRefreshes>> | null} refreshes
 * @property {Awaited<ReturnType<typeof drillRestarts>> | null} restarts
 * @property {Awaited<ReturnType<typeof sweepMessages>> | null} sweep
 * @property {import('./replica.js').Exit[]} exits processes that ended by themselves
 * @property {Manners} manners of all parts together
 * @property {string | null} keptIn history and logs; null where nothing was found
 */

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.minutes
 * @param {string[]} options.phases
 * @param {string[]=} options.faults
 * @param {boolean=} options.keep history and logs, also where nothing was found
 * @param {string} options.keepIn the directory to keep them below
 * @param {string=} options.dist
 * @param {((history: import('./history.js').History) => void) | undefined} options.onHistory is given all of it, once
 * @param {(line: string) => void} options.log
 * @returns {Promise<Run>}
 */
export async function runAgainst({
  seed,
  minutes,
  phases,
  faults,
  keep = false,
  keepIn,
  dist = fileURLToPath(new URL('../../../dist', import.meta.url)),
  onHistory,
  log,
}) {
  const cluster = await openCluster({ dist, rules: RULES, log });
  const recorder = createRecorder({ seed, rules: RULES });
  /** @type {string | null} */
  let keptIn = null;
  try {
    const random = createRandom(seed);
    const parts = await runParts({ cluster, recorder, random, minutes, phases, faults, log });
    await readDatabase(recorder, cluster);
    const exits = cluster.replicas.flatMap((replica) => replica.exits);
    const run = { ...judge(recorder, log), ...parts, exits };
    onHistory?.(recorder.history());
    if (keep || isSuspicious(run)) keptIn = await keepEvidence(cluster, recorder, keepIn);
    return { ...run, keptIn };
  } catch (error) {
    log(`history and logs: ${await keepEvidence(cluster, recorder, keepIn)}`);
    throw error;
  } finally {
    await cluster.close();
  }
}

/** @param {Cluster} cluster @param {import('./history.js').Recorder} recorder @param {string} parent */
async function keepEvidence({ directory }, recorder, parent) {
  const kept = await mkdtemp(join(parent, 'gatehouse-chaos-'));
  await recorder.writeTo(join(kept, 'history.ndjson'));
  const logs = (await readdir(directory)).filter((name) => name.endsWith('.log'));
  await Promise.all(logs.map((name) => copyFile(join(directory, name), join(kept, name))));
  return kept;
}

/** @param {{ violationsByRule: object, exits: unknown[], manners: Manners }} run */
function isSuspicious({ violationsByRule, exits, manners: { breaches, silent, late, broken, signatures } }) {
  const wrong = breaches + silent + late + broken + signatures.forged;
  return Object.keys(violationsByRule).length + exits.length + wrong > 0;
}

/**
 * @param {{ cluster: Cluster, recorder: import('./history.js').Recorder, random: () => number, minutes: number,
 *   phases: string[], faults: string[] | undefined, log: (line: string) => void }} options
 */
async function runParts({ cluster, recorder, random, minutes, phases, faults, log }) {
  const common = { cluster, recorder, random, log };
  const patiently = () => ({ ...common, untilMs: recorder.now() + PATIENCE_MS });
  /** @template T @param {string} phase @param {() => Promise<T>} work @returns {Promise<T | null>} */
  const during = async (phase, work) => {
    if (!phases.includes(phase)) return null;
    log(`${phase} begins`);
    return await work();
  };
  const mixed = await during('mixed', () => runMixed({ ...common, minutes, faults }));
  const trials = await during('trials', () => {
    const term = createTerm(recorder.now, 1000 * TRIALS_SECONDS * minutes);
    return runTrials({ ...common, term, least: LEAST_PER_MINUTE.trials * minutes });
  });
  const refreshes = await during('drills', () => drillRefreshes(patiently()));
  const restarts = await during('drills', () =>
    drillRestarts({ ...patiently(), restarts: Math.ceil(RESTARTS * minutes) }),
  );
  const sweep = await during('sweep', () => sweepMessages(patiently()));
  return {
    faults: mixed?.besides ?? null,
    trials,
    refreshes,
    restarts,
    sweep,
    manners: addUp([mixed, trials, refreshes, restarts, sweep]),
  };
}

/** @param {(Manners | null)[]} parts @returns {Manners} */
function addUp(parts) {
  const all = parts.filter((part) => part !== null);
  /** @param {(part: Manners) => number} of */
  const sum = (of) => all.reduce((total, part) => total + of(part), 0);
  return {
    breaches: sum(({ breaches }) => breaches),
    told: all.flatMap(({ told }) => told),
    late: sum(({ late }) => late),
    silent: sum(({ silent }) => silent),
    broken: sum(({ broken }) => broken),
    signatures: {
      verified: sum(({ signatures }) => signatures.verified),
      forged: sum(({ signatures }) => signatures.forged),
      orphans: [...new Set(all.flatMap(({ signatures }) => signatures.orphans))],
    },
  };
}
