// @ts-check
// How much of everything a run has to contain: a rule that had hardly anything to judge has proved nothing.
import { FAULT_NAMES } from './faults.js';

/** From so many minutes on a run is a long one. */
export const LONG_FROM_MINUTES = 6;

/** For each minute asked for: what two cores get done on the worst of days. On a good one it is eight times as much (docs/proof.md). */
export const LEAST_PER_MINUTE = { operations: 5000, kills: 3, trials: 200, signatures: 100 };

/** The shortest run of which each fault and each rule is asked: what is to happen once in two minutes cannot be asked of less. */
const FROM_MINUTES = 2;

/**
 * What rules judge, by what it is about, for each minute asked for: far below what two cores reach, so that a slow machine
 * passes, and far above what chance leaves of something that no longer happens.
 *
 * @type {Readonly<Record<string, number>>}
 */
const JUDGED_PER_MINUTE = {
  'A changes of password': 1,
  'A claims by refresh': 2,
  'A ended': 400,
  'A ended, after a lift': 5,
  'A ended, by deletion': 2,
  'A ended, in batches': 100,
  'A exports of the deleted': 0.5,
  'A final rows': 0.5,
  'A held': 20,
  'A logins': 2,
  'A logins of the deleted': 0.5,
  'A names': 0.5,
  'A of another scope': 20,
  'A of other claims': 20,
  'A rows of orders': 2,
  'A scopes by login': 0.5,
  'A scopes by refresh': 1,
  'B access tokens': 300,
  'B access tokens, in batches': 100,
  'B ends by clients': 2,
  'B lists': 20,
  'B logins': 20,
  'B lifts': 0.5,
  'B logouts': 10,
  'B refreshes': 50,
  'B users of exports': 0.5,
  'B users of scopes': 1,
  'C found gone': 500,
  'C found gone, in batches': 100,
  'D repeated changes of password': 1,
  'D successors': 20,
  'E replays': 5,
  'E replays after an outage': 0.5,
  'F late': 1,
  'F late after an outage': 0.5,
  'F late in an outage': 0.5,
  'F within': 5,
  'G expired': 100,
  'G minted': 100,
  'G refreshes after a step-up': 0.5,
  'G reissued': 50,
  'G reissued, in batches': 5,
  'G step-ups': 0.5,
  'G tokens recent enough': 0.5,
  'G tokens too old': 0.5,
  'H ended': 250,
  "I others' sessions": 5,
  'I claims': 300,
  'I claims, in batches': 100,
  'I lists': 20,
  'I minted': 100,
  "I other clients' sessions": 2,
  'J absences': 1,
  'J answers': 100,
  'K additions': 0.5,
  'K changes by clients': 3,
  'K deletions': 0.5,
  'K disabling and enabling': 1,
  'K ends': 10,
  'K ends by clients': 0.5,
  'K ends of all': 2,
  'K ends of all by clients': 1,
  'K ends of tokens': 1,
  'K keys': 1,
  'K lifts': 1,
  'K openings': 40,
  'K openings by clients': 10,
  'K orders': 3,
  'K own passwords': 1,
  'K repetitions': 2,
  'K scopes': 1,
  'K thefts': 1,
  'K unanswered': 1,
  'lifts that did not': 0.5,
  'lifts that restored': 1,
  'orders by all': 0.5,
  'orders by ip': 0.5,
  'orders by jti': 0.5,
  'orders by now': 0.5,
  'orders by session_ids': 1,
  'orders by token': 0.5,
  'orders by user_ids': 0.5,
  'orders, dry runs': 0.5,
};

/** What rules judge. */
export const JUDGED = Object.keys(JUDGED_PER_MINUTE);

/**
 * @param {Record<string, number>} judged
 * @param {number} minutes
 * @returns {string[]} what was judged too seldom
 */
export function findRareRules(judged, minutes) {
  if (minutes < FROM_MINUTES) return [];
  return Object.entries(JUDGED_PER_MINUTE)
    .filter(([what, least]) => (judged[what] ?? 0) < least * minutes)
    .map(([what]) => what);
}

/**
 * @param {Record<string, number>} faults how often each happened
 * @param {number} minutes
 * @returns {string[]} those that happened less than once in every two minutes
 */
export function findRareFaults(faults, minutes) {
  const turns = Math.floor(minutes / FROM_MINUTES);
  return FAULT_NAMES.filter((name) => (faults[name] ?? 0) < turns);
}

/**
 * Whether clients and faults have done as much as is asked of them; what rules have to judge of it is another question.
 *
 * @param {Pick<import('./history.js').Operation, 'kind' | 'name' | 'isKill'>[]} operations
 * @param {number} minutes
 */
export function hasEnough(operations, minutes) {
  const kills = operations.filter(({ isKill }) => isKill === true).length;
  /** @type {Record<string, number>} */
  const faults = {};
  for (const { kind, name = '' } of operations) if (kind === 'fault') faults[name] = (faults[name] ?? 0) + 1;
  return (
    operations.length >= LEAST_PER_MINUTE.operations * minutes &&
    kills >= LEAST_PER_MINUTE.kills * minutes &&
    findRareFaults(faults, minutes).length === 0
  );
}
