// @ts-check
// Clients under faults, until their time is up and enough has happened.
import { setTimeout as sleep } from 'node:timers/promises';

import { check } from './checker.js';
import { readDatabase } from './cluster.js';
import { runClients } from './clients.js';
import { runFaults } from './faults.js';
import { findRareRules, hasEnough, LONG_FROM_MINUTES } from './floors.js';
import { createTerm } from './term.js';

/** Of each minute asked for. */
const SECONDS = 37.5;

/** Lives at once: as many as two cores carry beside three replicas and PostgreSQL. */
const LIVES = 90;

/** Between two looks at the history, and as many times as long as a look has taken: a long history takes a whole core for seconds. */
const LOOK_MS = 1000;
const REST_TIMES = 6;

/**
 * @param {object} options
 * @param {import('./cluster.js').Cluster} options.cluster
 * @param {import('./history.js').Recorder} options.recorder
 * @param {() => number} options.random
 * @param {number} options.minutes
 * @param {string[] | undefined} options.faults all of them unless given
 * @param {(line: string) => void} options.log
 */
export async function runMixed({ minutes, faults, ...common }) {
  const { now, history } = common.recorder;
  const term = createTerm(now, 1000 * SECONDS * minutes);
  const ending = new AbortController();
  const options = { ...common, untilMs: term.lastMs, signal: ending.signal };

  function isEnough() {
    // A choice of faults may never bring what is asked of all.
    if (faults !== undefined) return true;
    const all = history();
    return hasEnough(all.operations, minutes) && hasEnoughToJudge(all, minutes);
  }

  async function endInTime() {
    for (let tookMs = 0; ;) {
      await sleep(Math.max(LOOK_MS, REST_TIMES * tookMs));
      // A long run is not judged until it is over.
      if (!isLong(minutes)) await readDatabase(common.recorder, common.cluster);
      const since = performance.now();
      if (term.isOver(isEnough)) break;
      tookMs = performance.now() - since;
    }
    ending.abort();
  }

  return await runClients({
    ...options,
    count: LIVES,
    beside: async (outages) => {
      const [counts] = await Promise.all([
        runFaults({ ...options, outages, ...(faults === undefined ? {} : { faults }) }),
        endInTime(),
      ]);
      return counts;
    },
  });
}

/** @param {number} minutes */
function isLong(minutes) {
  return minutes >= LONG_FROM_MINUTES;
}

/**
 * Not asked of a long run: to judge its history takes this process away from its clients for too long.
 *
 * @param {import('./history.js').History} history
 * @param {number} minutes
 */
function hasEnoughToJudge(history, minutes) {
  return isLong(minutes) || findRareRules(check(history).counts.judged, minutes).length === 0;
}
