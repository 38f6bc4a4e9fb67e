// @ts-check
// What a run found, as text: what was done, how it was answered, what was to be reached, and what was wrong.
import { targetsOf } from './targets.js';

/** @typedef {import('./run.js').Run} Run */

/**
 * @typedef {object} Findings
 * @property {number} seed
 * @property {number} minutes
 * @property {string[]} phases
 * @property {string[] | null} faults those that were chosen; null for all
 * @property {string} takenAt
 * @property {number} seconds
 * @property {Run | null} run
 * @property {import('./mutants.js').Catch[] | null} mutants
 * @property {import('./mutants.js').Catch[] | null} control the service as it is, hunted like each of them
 */

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
    ...table(['rule', 'answers judged'], pairs(counts.judged).toSorted()),
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
