// @ts-check
// What the checker says of a run, with the operations around each violation.
import { check } from './checker.js';

/** How many violations are told with the operations around them, and how many operations. */
const TOLD = 20;
const AROUND = 6;

/** @typedef {import('./history.js').Operation} Operation */
/** @typedef {Operation & { about?: string }} Told */

/** @param {import('./history.js').Recorder} recorder @param {(line: string) => void} log */
export function judge(recorder, log) {
  const history = recorder.history();
  log(`checking ${history.operations.length} operations`);
  const { violations, counts } = check(history);
  /** @type {Record<string, Record<string, number>>} */
  const outcomes = {};
  for (const { kind, outcome } of history.operations) {
    const ofKind = (outcomes[kind] ??= { ok: 0, refused: 0, unknown: 0 });
    ofKind[outcome] = (ofKind[outcome] ?? 0) + 1;
  }
  /** @type {Record<string, number>} */
  const violationsByRule = {};
  for (const { rule } of violations) violationsByRule[rule] = (violationsByRule[rule] ?? 0) + 1;
  const told = violations.slice(0, TOLD).map((violation) => ({
    ...violation,
    around: operationsAround(history, violation.operations),
  }));
  return { counts, outcomes, violations: told, violationsByRule };
}

/**
 * What shows the violation, and what else of its session ended shortly before the wrong answer.
 *
 * @param {import('./history.js').History} history
 * @param {number[]} ids
 * @returns {Told[]}
 */
function operationsAround({ operations, tokens }, ids) {
  const wrong = operations.find(({ id }) => id === ids[0]);
  if (wrong === undefined) return [];
  /** @param {Operation} operation */
  const sidOf = ({ sid, token }) => sid ?? (token === undefined ? undefined : tokens[token]?.sid);
  const sid = sidOf(wrong);
  const near = operations
    .filter(
      (one) =>
        (sid !== undefined && sidOf(one) === sid && one.start <= wrong.end) ||
        (one.kind === 'fault' && one.start <= wrong.end),
    )
    .slice(-AROUND);
  const chosen = new Set([...operations.filter(({ id }) => ids.includes(id)), ...near]);
  return operations
    .filter((one) => chosen.has(one))
    .map((one) => {
      const token = one.token === undefined ? undefined : tokens[one.token];
      return token === undefined
        ? one
        : { ...one, about: `${token.type} ${token.lineage}.${token.generation}` };
    });
}
