// @ts-check
// The door of the checker: a history goes in, every answer in it that no moment within the brackets explains comes out.
import { checkAbsence } from './checker/absence.js';
import { checkAfterEnd } from './checker/after-end.js';
import { checkBackends } from './checker/backends.js';
import { checkChanges } from './checker/changes.js';
import { createFindings } from './checker/findings.js';
import { checkIdentity } from './checker/identity.js';
import { checkLifetimes } from './checker/lifetimes.js';
import { checkLists } from './checker/lists.js';
import { checkLogins } from './checker/logins.js';
import { checkOrders } from './checker/orders.js';
import { checkRecorded } from './checker/recorded.js';
import { checkReissues } from './checker/reissues.js';
import { checkReplays } from './checker/replays.js';
import { checkResurrection } from './checker/resurrection.js';
import { checkStepUps } from './checker/step-ups.js';
import { checkSuccessors } from './checker/successors.js';
import { checkUnfounded } from './checker/unfounded.js';
import { checkUsers } from './checker/users.js';
import { createWorld } from './checker/world.js';

/** @typedef {import('./history.js').History} History */
/** @typedef {import('./checker/findings.js').Violation} Violation */
/** @typedef {import('./checker/findings.js').Rule} Rule */

/** The sharper rule first: it is the one that reports. Resurrection after all that judge answers: it trusts what nobody has called wrong. */
const RULES = [
  checkAbsence,
  checkIdentity,
  checkAfterEnd,
  checkLogins,
  checkChanges,
  checkSuccessors,
  checkReplays,
  checkLifetimes,
  checkUnfounded,
  checkLists,
  checkReissues,
  checkOrders,
  checkUsers,
  checkBackends,
  checkStepUps,
  checkResurrection,
  checkRecorded,
];

/**
 * @typedef {object} Counts
 * @property {number} operations
 * @property {number} tokens
 * @property {number} sessions whose login was answered
 * @property {number} kills
 * @property {Record<Rule, number>} applied how many answers each rule could have called wrong
 * @property {Record<string, number>} judged the same, by what they were about
 */

/**
 * Exact, and linear in the history but for sorting. See each rule for what makes a violation certain.
 *
 * @param {History} history
 * @returns {{ violations: Violation[], counts: Counts }}
 */
export function check(history) {
  const world = createWorld(history);
  const findings = createFindings();
  for (const rule of RULES) rule(world, findings);
  const { operations, tokens } = history;
  return {
    violations: findings.violations,
    counts: {
      operations: operations.length,
      tokens: tokens.length,
      sessions: [...world.sessions.values()].filter(({ login }) => login !== null).length,
      kills: world.kills.length,
      applied: findings.applied,
      judged: findings.judged,
    },
  };
}
