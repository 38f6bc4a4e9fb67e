// @ts-check
// What a developer might write by mistake and our promise forbids: each mutant breaks the service in one way that a hunt finds.
import * as backends from './mutants/backends.js';
import * as endings from './mutants/endings.js';
import * as events from './mutants/events.js';
import { openDatabases } from './mutants/databases.js';
import { huntMutant } from './mutants/hunt.js';
import * as orders from './mutants/orders.js';
import * as outages from './mutants/outages.js';
import * as rotations from './mutants/rotations.js';
import * as unhunted from './mutants/unhunted.js';
import * as verdicts from './mutants/verdicts.js';

/** @typedef {import('./mutants/hunt.js').Catch} Catch */

/**
 * @typedef {object} Patch
 * @property {string} file below `dist`
 * @property {string} find stands in the file exactly once
 * @property {string} replace
 */

/**
 * @typedef {object} Mutant
 * @property {string} name
 * @property {string} sentence what it does wrong
 * @property {Patch[]} patches
 * @property {import('./mutants/hunt.js').Hunt} hunt
 */

/** @type {Mutant[]} */
export const MUTANTS = [verdicts, rotations, endings, outages, orders, events, backends].flatMap((kind) =>
  Object.values(kind),
);

/** Those that the tests catch and no hunt does; each says why. @type {Mutant[]} */
export const UNHUNTED = Object.values(unhunted);

/** Hunts for those who cannot show before something has expired: they mostly wait. */
const SLOW_SIDE_BY_SIDE = 3;

/** The others: while one starts its replicas or waits for its last answers, the other has the machine. */
const QUICK_SIDE_BY_SIDE = 2;

/** Longer than it takes to catch a mutant that can show at once. */
const CONTROL_SECONDS = 3;

const least = (/** @type {Mutant} */ { hunt }) => hunt.leastSeconds ?? 0;

/**
 * Hunts them all, several side by side: most for whom something has to expire, and meanwhile the others.
 * As a control the build as it is, hunted in the same ways for at least as long, is not to be caught.
 *
 * @param {object} options
 * @param {number} options.seed
 * @param {import('./history.js').Rules} options.rules
 * @param {Mutant[]=} options.mutants
 * @param {boolean=} options.isControl
 * @param {number=} options.limit operations of each hunt
 * @param {(line: string) => void=} options.log
 * @param {(caught: Catch) => void=} options.onCatch
 * @returns {Promise<Catch[]>} in the order of the mutants
 */
export async function huntAll({
  mutants = MUTANTS,
  isControl = false,
  onCatch = () => undefined,
  ...options
}) {
  const databases = await openDatabases();
  /** @type {Map<Mutant, Catch>} */
  const catches = new Map();

  /** Whoever is free takes the next. @param {Mutant[]} queue */
  async function huntInTurn(queue) {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const { hunt } = mutant;
      const own = isControl
        ? { mutant: null, withinMs: 1000 * (least(mutant) + CONTROL_SECONDS), least: 0 }
        : { mutant };
      const caught = { ...(await huntMutant({ ...options, ...own, databases, hunt })), name: mutant.name };
      catches.set(mutant, caught);
      onCatch(caught);
    }
  }

  try {
    const quick = mutants.filter((mutant) => least(mutant) === 0);
    const slow = mutants.filter((mutant) => least(mutant) > 0).toSorted((a, b) => least(b) - least(a));
    const lanes = [...Array(QUICK_SIDE_BY_SIDE).fill(quick), ...Array(SLOW_SIDE_BY_SIDE).fill(slow)];
    const ends = await Promise.allSettled(lanes.map(huntInTurn));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  } finally {
    await databases.close();
  }
  return mutants.flatMap((mutant) => catches.get(mutant) ?? []);
}

export { huntMutant, openDatabases };
