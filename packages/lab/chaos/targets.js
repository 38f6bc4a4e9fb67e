// @ts-check
// What a run has to reach: nothing wrong, and enough of everything.
import { findRareFaults, findRareRules, LEAST_PER_MINUTE, LONG_FROM_MINUTES } from './floors.js';

/** @typedef {import('./run.js').Run} Run */
/** @typedef {import('./report.js').Findings} Findings */

/** @typedef {{ what: string, measured: number, wanted: string, isReached: boolean }} Target */

/** A mutant has to show itself within so many operations. */
const MOST_OPERATIONS = 100_000;

/** How long a failed database may be back before everything is answered again; a short run may meet nothing but busy moments. */
const BACK_WITHIN_MS = { short: 15_000, long: 5000 };

/** @param {Findings} findings @returns {Target[]} of what was run */
export function targetsOf({ minutes, phases, faults, run, mutants, control }) {
  /** @param {string} phase */
  const has = (phase) => phases.includes(phase);
  const targets = [];
  if (run !== null) {
    targets.push(...correctness(run));
    if (has('mixed')) targets.push(...mixedTargets(run, minutes));
    // Of a choice of faults not everything can be asked.
    if (has('mixed') && faults === null) targets.push(...floorTargets(run, minutes));
    if (run.trials !== null) targets.push(...trialTargets(run.trials, minutes));
    if (run.refreshes !== null && run.restarts !== null)
      targets.push(...drillTargets(run.refreshes, run.restarts, minutes));
  }
  if (mutants !== null) {
    const missed = mutants.filter((one) => !one.isCaught || one.afterOperations > MOST_OPERATIONS);
    targets.push(zero(`mutants of ${mutants.length} that were not caught`, missed.length));
  }
  if (control !== null) {
    const wrong = control.filter(({ isCaught }) => isCaught);
    targets.push(
      zero(`hunts of ${control.length} for the service itself that found something`, wrong.length),
    );
  }
  return targets;
}

/** @param {Run} run */
function correctness({ violationsByRule, outcomes, exits, manners }) {
  const { signatures } = manners;
  // A key that is retired before anybody has asked for it is published no more.
  const { ok = 0, unknown = 0 } = outcomes['retire-key'] ?? {};
  const retired = ok + unknown;
  const violations = Object.values(violationsByRule).reduce((sum, many) => sum + many, 0);
  return [
    zero('violations', violations),
    zero('acknowledged ends lost', violationsByRule['H'] ?? 0),
    zero('answers that the contract does not know', manners.breaches),
    zero('questions without any answer', manners.silent),
    zero('connections that a living process broke', manners.broken),
    zero('late answers', manners.late),
    zero('processes that ended by themselves', exits.length),
    zero('tokens whose signature does not hold', signatures.forged),
    zero('keys that signed and were never published', Math.max(0, signatures.orphans.length - retired)),
  ];
}

/** @param {Run} run @param {number} minutes */
function mixedTargets({ counts, faults }, minutes) {
  const firstMs = faults?.restarts.map((restart) => restart.firstMs ?? 0) ?? [];
  return [
    atLeast('operations', counts.operations, LEAST_PER_MINUTE.operations * minutes),
    atLeast('kills, of replicas and of PostgreSQL', counts.kills, LEAST_PER_MINUTE.kills * minutes),
    atMost(
      'ms to the first success after a restart of PostgreSQL',
      Math.max(0, ...firstMs),
      backWithinMs(minutes),
    ),
  ];
}

/** @param {Run} run @param {number} minutes */
function floorTargets({ counts, faults, manners }, minutes) {
  return [
    none('rules that had too little to judge', findRareRules(counts.judged, minutes)),
    none('faults that happened too seldom', findRareFaults(faults?.faults ?? {}, minutes)),
    atLeast('signatures that hold', manners.signatures.verified, LEAST_PER_MINUTE.signatures * minutes),
  ];
}

/** @param {NonNullable<Run['trials']>} trials @param {number} minutes */
function trialTargets({ trials, falseLogouts, secondSuccessors, deadSuccessors, unanswered }, minutes) {
  return [
    atLeast('trials of parallel refreshes', trials, LEAST_PER_MINUTE.trials * minutes),
    zero('false logouts', falseLogouts + deadSuccessors),
    zero('second successors', secondSuccessors),
    zero('trials that nobody answered in time', unanswered),
  ];
}

/** @param {NonNullable<Run['refreshes']>} refreshes @param {NonNullable<Run['restarts']>} restarts @param {number} minutes */
function drillTargets(refreshes, restarts, minutes) {
  return [
    atLeast('refreshes that the database failed', refreshes.failedFirst, 1),
    zero('of them, not healed by trying again', refreshes.failedForGood),
    atLeast('database restarts', restarts.restarts, 1),
    zero('answers other than 503 meanwhile', restarts.otherThan503),
    atMost('ms until all replicas answer again', restarts.slowestMs, backWithinMs(minutes)),
  ];
}

/** @param {number} minutes */
function backWithinMs(minutes) {
  return minutes < LONG_FROM_MINUTES ? BACK_WITHIN_MS.short : BACK_WITHIN_MS.long;
}

/** @param {string} what @param {number} measured @param {number} least */
function atLeast(what, measured, least) {
  return { what, measured, wanted: `≥ ${Math.round(least)}`, isReached: measured >= least };
}

/** @param {string} what @param {number} measured @param {number} most */
function atMost(what, measured, most) {
  return { what, measured: Math.round(measured), wanted: `≤ ${most}`, isReached: measured <= most };
}

/** @param {string} what there is to be none of @param {string[]} names */
function none(what, names) {
  return zero(names.length === 0 ? what : `${what}: ${names.join(', ')}`, names.length);
}

/** @param {string} what @param {number} measured */
function zero(what, measured) {
  return { what, measured, wanted: '0', isReached: measured === 0 };
}
