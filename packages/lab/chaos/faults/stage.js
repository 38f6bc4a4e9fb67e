// @ts-check
// What a fault finds when its turn comes: whom it hits, chance, and where it is noted.
import { setTimeout as sleep } from 'node:timers/promises';

/** @typedef {import('../cluster.js').Cluster} Cluster */
/** @typedef {import('../replica.js').Replica} Replica */

/**
 * @typedef {object} Fault
 * @property {number} weight how often it is picked, beside the others
 * @property {'replica' | 'postgres' | 'all'} hits two faults never hit the same at once
 * @property {boolean=} takesAway a replica is gone for a while: one at a time, so that two are left
 * @property {(stage: Stage) => Promise<void>} run undoes what it did before it ends
 */

/**
 * @typedef {object} Restart of PostgreSQL
 * @property {string} name of the fault
 * @property {number} recoveredMs until PostgreSQL took connections again
 * @property {number | null} firstMs from then on, until the first of the replicas answered truthfully; null where none was left alone
 * @property {number | null} slowestMs until all of them did that nothing else was done to
 */

/**
 * @typedef {object} Counts
 * @property {Record<string, number>} faults by name
 * @property {{ replica: number, postgres: number }} kills SIGKILL alone
 * @property {number} missed faults that waited for a message that never came
 * @property {Restart[]} restarts
 * @property {import('../replica.js').Exit[]} exits processes that nobody had told to go
 * @property {number} refusals starts of a replica that failed for want of a database
 */

/**
 * @typedef {object} Stage
 * @property {Cluster} cluster
 * @property {Replica} replica the one that is hit; any for faults that hit something else
 * @property {Counts} counts
 * @property {() => number} random
 * @property {(low: number, high: number) => number} between
 * @property {(low: number, high: number) => Promise<void>} wait as long as chance says, in milliseconds
 * @property {(replica: Replica) => boolean} isSpared whether a replica is up and nothing else is done to it
 * @property {(note: { target?: string | null, isKill?: boolean }, work: () => unknown) => Promise<void>} note records the
 *   fault for as long as `work` takes; `isKill` where memory is lost
 * @property {import('../outages.js').Outages} outages those that lengthen replay windows
 * @property {(work: () => Promise<void>) => Promise<void>} withoutDatabase records that there is none for as long
 */

/**
 * @param {object} options
 * @param {string} options.name
 * @param {Cluster} options.cluster
 * @param {Replica} options.replica
 * @param {import('../history.js').Recorder} options.recorder
 * @param {Counts} options.counts
 * @param {() => number} options.random
 * @param {(replica: Replica) => boolean} options.isSpared
 * @param {(line: string) => void} options.log
 * @param {AbortSignal} options.signal cuts its waiting short
 * @param {import('../outages.js').Outages} options.outages
 * @returns {Stage}
 */
export function createStage({
  name,
  cluster,
  replica,
  recorder,
  counts,
  random,
  isSpared,
  log,
  signal,
  outages,
}) {
  /** @param {number} low @param {number} high */
  const between = (low, high) => low + random() * (high - low);
  return {
    cluster,
    replica,
    counts,
    random,
    between,
    isSpared,
    wait: (low, high) => wait(between(low, high), signal),
    note: async ({ target = replica.name, isKill = false }, work) => {
      await recordFault(recorder, { name, target, isKill }, work);
      counts.faults[name] = (counts.faults[name] ?? 0) + 1;
      log(`${Math.round(recorder.now())} ms: ${name} ${target ?? ''}`);
    },
    outages,
    withoutDatabase: (work) => recordAbsence(recorder, work),
  };
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal ends it at once
 */
export async function wait(ms, signal) {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/**
 * Records that there is no database for as long as `work` takes: between its end and its next start.
 *
 * @param {import('../history.js').Recorder} recorder
 * @param {() => unknown} work
 */
export async function recordAbsence(recorder, work) {
  await recordFault(recorder, { name: 'no-database', target: 'postgres', isKill: false, isAway: true }, work);
}

/**
 * Records a fault for as long as `work` takes.
 *
 * @param {import('../history.js').Recorder} recorder
 * @param {{ name: string, target: string | null, isKill: boolean, isAway?: boolean }} fault
 * @param {() => unknown} work
 */
export async function recordFault(recorder, fault, work) {
  const start = recorder.now();
  await work();
  recorder.add({ ...UNASKED, ...fault, start, end: recorder.now() });
}

/** A fault is no question, and has no answer. */
const UNASKED = /** @type {const} */ ({
  kind: 'fault',
  replica: 'operator',
  client: 0,
  outcome: 'ok',
  status: null,
  error: null,
});
