// @ts-check
// What a run found, as text: what was done, how it was answered, what was to be reached, and what was wrong.

/** @typedef {import('./run.js').Run} Run */

/**
 * @typedef {object} Findings
 * @property {number} seed
 * @property {number} minutes
 * @property {string[]} phases
 * @property {string} takenAt
 * @property {number} seconds
 * @property {Run | null} run
 * @property {import('./mutants.js').Catch[] | null} mutants
 * @property {import('./mutants.js').Catch[] | null} control the service as it is, hunted like each of them
 */

/** @typedef {{ what: string, measured: number, wanted: string, isReached: boolean }} Target */

/** For each minute that was asked for. */
const OPERATIONS = 25_000;
const KILLS = 15;
const TRIALS = 500;

/** A mutant has to show itself within so many operations. */
const MOST_OPERATIONS = 100_000;

/** How long a failed database may be back before everything is answered again. */
const BACK_WITHIN_MS = 5000;

/** @param {Findings} findings @returns {Target[]} of what was run */
export function targetsOf({ minutes, phases, run, mutants, control }) {
  /** @param {string} phase */
  const has = (phase) => phases.includes(phase);
  const targets = [];
  if (run !== null) {
    targets.push(...correctness(run));
    if (has('mixed')) targets.push(...mixedTargets(run, minutes));
    if (run.trials !== null) targets.push(...trialTargets(run.trials, minutes));
    if (run.refreshes !== null && run.restarts !== null)
      targets.push(...drillTargets(run.refreshes, run.restarts));
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
function correctness({ violationsByRule, exits, manners }) {
  const violations = Object.values(violationsByRule).reduce((sum, many) => sum + many, 0);
  return [
    zero('violations', violations),
    zero('acknowledged ends lost', violationsByRule['H'] ?? 0),
    zero('answers that the contract does not know', manners.breaches),
    zero('questions without any answer', manners.silent),
    zero('late answers', manners.late),
    zero('processes that ended by themselves', exits.length),
  ];
}

/** @param {Run} run @param {number} minutes */
function mixedTargets({ counts, faults }, minutes) {
  const firstMs = faults?.restarts.map((restart) => restart.firstMs ?? 0) ?? [];
  return [
    atLeast('operations', counts.operations, OPERATIONS * minutes),
    atLeast('kills, of replicas and of PostgreSQL', counts.kills, KILLS * minutes),
    atMost('ms to the first success after a restart of PostgreSQL', Math.max(0, ...firstMs), BACK_WITHIN_MS),
  ];
}

/** @param {NonNullable<Run['trials']>} trials @param {number} minutes */
function trialTargets({ trials, falseLogouts, secondSuccessors, deadSuccessors, unanswered }, minutes) {
  return [
    atLeast('trials of parallel refreshes', trials, TRIALS * minutes),
    zero('false logouts', falseLogouts + deadSuccessors),
    zero('second successors', secondSuccessors),
    zero('trials that nobody answered in time', unanswered),
  ];
}

/** @param {NonNullable<Run['refreshes']>} refreshes @param {NonNullable<Run['restarts']>} restarts */
function drillTargets(refreshes, restarts) {
  return [
    atLeast('refreshes that the database failed', refreshes.failedFirst, 1),
    zero('of them, not healed by trying again', refreshes.failedForGood),
    atLeast('database restarts', restarts.restarts, 1),
    zero('answers other than 503 meanwhile', restarts.otherThan503),
    atMost('ms until all replicas answer again', restarts.slowestMs, BACK_WITHIN_MS),
  ];
}

/** @param {string} what @param {number} measured @param {number} least */
function atLeast(what, measured, least) {
  return { what, measured, wanted: `≥ ${Math.round(least)}`, isReached: measured >= least };
}

/** @param {string} what @param {number} measured @param {number} most */
function atMost(what, measured, most) {
  return { what, measured: Math.round(measured), wanted: `≤ ${most}`, isReached: measured <= most };
}

/** @param {string} what @param {number} measured */
function zero(what, measured) {
  return { what, measured, wanted: '0', isReached: measured === 0 };
}

/** @param {Findings} findings */
export function reportText(findings) {
  const { seed, minutes, seconds, run, mutants } = findings;
  const targets = targetsOf(findings);
  const rows = targets.map(({ what, measured, wanted, isReached }) => [
    isReached ? 'ok' : 'MISSED',
    what,
    String(measured),
    wanted,
  ]);
  const isReached = targets.every((target) => target.isReached);
  return [
    ...(run === null ? [] : runLines(run)),
    ...(mutants === null ? [] : mutantLines(mutants)),
    ...table(['', 'what', 'measured', 'wanted'], rows),
    '',
    `${isReached ? 'All reached' : 'NOT ALL REACHED'} in ${Math.round(seconds)} s. The same again: npm run chaos -- --minutes ${minutes} --seed ${seed}`,
    '',
  ].join('\n');
}

/** @param {Run} run */
function runLines(run) {
  const { outcomes, counts, faults } = run;
  const kinds = Object.entries(outcomes).filter(([kind]) => kind !== 'fault');
  const total = ['ok', 'refused', 'unknown'].map((outcome) =>
    String(kinds.reduce((sum, [, of]) => sum + (of[outcome] ?? 0), 0)),
  );
  return [
    ...table(
      ['operation', 'ok', 'refused', 'unknown'],
      [
        ...kinds.map(([kind, of]) => [kind, String(of['ok']), String(of['refused']), String(of['unknown'])]),
        ['all', ...total],
      ],
    ),
    '',
    ...(faults === null ? [] : [...table(['fault', 'times'], pairs(faults.faults)), '']),
    ...table(['rule', 'answers judged'], pairs(counts.applied)),
    '',
    ...run.manners.told.map((line) => `NOT IN THE CONTRACT ${line}`),
    ...run.exits.map(({ replica, code, signal }) => `ENDED BY ITSELF ${replica}: ${code ?? signal}`),
    ...run.violations.flatMap(violationLines),
    ...(run.keptIn === null ? [] : [`History and logs: ${run.keptIn}`, '']),
  ];
}

/** @param {Run['violations'][number]} violation */
function violationLines({ rule, message, session, operations, around }) {
  return [
    `VIOLATION of ${rule}: ${message}${session === undefined ? '' : ` (session ${session})`}`,
    ...around.map((one) => `  ${operations.includes(one.id) ? '>' : ' '} ${operationText(one)}`),
    '',
  ];
}

/** @param {import('./run.js').Told} operation */
function operationText({ id, kind, replica, client, start, end, outcome, about, ...rest }) {
  const { status, error, active, reissued, name, user } = rest;
  const told = { about, user, name, status, error, active, reissued };
  const details = Object.entries(told).filter(([, value]) => value !== undefined && value !== null);
  const times = `${start.toFixed(1)}–${end.toFixed(1)} ms`;
  return `#${id} ${times} ${kind} at ${replica} by ${client}: ${outcome} ${details.map((pair) => pair.join('=')).join(' ')}`;
}

/** @param {import('./mutants.js').Catch[]} mutants */
function mutantLines(mutants) {
  const rows = mutants.map(({ name, isCaught, caughtBy, afterOperations, seed }) => [
    name,
    isCaught ? `caught by ${caughtBy}` : 'NOT CAUGHT',
    String(afterOperations),
    String(seed),
  ]);
  return [...table(['mutant', '', 'operations', 'seed'], rows), ''];
}

/** @param {Record<string, number>} counts */
function pairs(counts) {
  return Object.entries(counts).map(([name, many]) => [name, String(many)]);
}

/** @param {string[]} head @param {string[][]} rows */
function table(head, rows) {
  const widths = head.map((title, place) =>
    Math.max(title.length, ...rows.map((row) => row[place]?.length ?? 0)),
  );
  const isNumber = head.map((_, place) => rows.every((row) => /^[≥≤]? ?[\d.]*$/.test(row[place] ?? '')));
  return [head, ...rows].map((row) =>
    row
      .map((cell, place) =>
        isNumber[place] ? cell.padStart(widths[place] ?? 0) : cell.padEnd(widths[place] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
