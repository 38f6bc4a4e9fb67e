// @ts-check
// How much of everything a run has to contain: a rule that had hardly anything to judge has proved nothing.
import { FAULT_NAMES } from './faults.js';

/** The shortest run of which each fault and each rule is asked: what is to happen once in two minutes cannot be asked of less. */
const FROM_MINUTES = 2;

/**
 * What rules judge, by what it is about, for each minute asked for: far below what two cores reach, so that a slow machine
 * passes, and far above what chance leaves of something that no longer happens.
 *
 * @type {Readonly<Record<string, number>>}
 */
const JUDGED_PER_MINUTE = {
  'A ended': 500,
  'A logins': 2,
  'A changes of password': 1,
  'B access tokens': 1000,
  'B lists': 100,
  'B logins': 25,
  'B logouts': 15,
  'B refreshes': 100,
  'C found gone': 1000,
  'D successors': 50,
  'E replays': 10,
  'F late': 2,
  'F within': 10,
  'G expired': 100,
  'G minted': 250,
  'G reissued': 100,
  'H ended': 500,
  "I others' sessions": 10,
  'I claims': 1000,
  'I lists': 50,
  'I minted': 250,
  'J absences': 1,
  'J answers': 25,
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
