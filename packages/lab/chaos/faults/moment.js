// @ts-check
// One certain message on the way between a replica and PostgreSQL, and what happens when it comes.

/** @typedef {import('../lane.js').Passing} Passing */
/** @typedef {import('../messages.js').Direction} Direction */

/**
 * @typedef {object} Moment
 * @property {Direction} direction
 * @property {string} type
 * @property {string | null} statement null for any that can write
 * @property {number} nth from 1
 * @property {boolean} isPassedOn whether the message still arrives
 */

/** A statement commits between the Sync that goes up and whatever comes down: both sides of that are here. */
/** @type {readonly [Direction, string][]} */
const MESSAGES = [
  ['up', 'B'],
  ['up', 'E'],
  ['up', 'S'],
  ['down', '2'],
  ['down', 'D'],
  ['down', 'C'],
  ['down', 'Z'],
];

const STATEMENTS = [
  null,
  null,
  'rotate_session',
  'rotate_session',
  'open_session',
  'end_session',
  'UPDATE users',
];

/** @param {() => number} random @returns {Moment} */
export function pickMoment(random) {
  const [direction, type] = pick(MESSAGES, random);
  return {
    direction,
    type,
    statement: pick(STATEMENTS, random),
    nth: 1 + Math.floor(random() * 4),
    isPassedOn: random() < 0.5,
  };
}

/** @template T @param {readonly T[]} list @param {() => number} random @returns {T} */
function pick(list, random) {
  return /** @type {T} */ (list[Math.floor(random() * list.length)]);
}

/**
 * Strikes when the message comes, once.
 *
 * @param {object} options
 * @param {import('../proxy.js').Proxy} options.proxy
 * @param {(passing: Passing) => boolean} options.isIt counts as it pleases
 * @param {boolean} options.isPassedOn
 * @param {() => Promise<unknown>} options.strike
 * @param {number} options.withinMs
 * @returns {Promise<boolean>} whether it came
 */
export function strikeAtMessage({ proxy, isIt, isPassedOn, strike, withinMs }) {
  return new Promise((resolve, reject) => {
    const patience = setTimeout(() => {
      proxy.onMessage(null);
      resolve(false);
    }, withinMs);

    const strikeOnce = () => strike().then(() => resolve(true), reject);

    proxy.onMessage(async (passing) => {
      if (!isIt(passing)) return undefined;
      clearTimeout(patience);
      proxy.onMessage(null);
      // What comes down is to reach the replica before it is struck; what goes up goes up without it.
      if (isPassedOn && passing.direction === 'down') {
        setImmediate(() => void strikeOnce());
        return undefined;
      }
      await strikeOnce();
      return isPassedOn ? 'cut-after' : 'cut';
    });
  });
}

/** @param {Moment} moment @returns {(passing: Passing) => boolean} */
export function isMoment({ direction, type, statement, nth }) {
  let seen = 0;
  return (passing) => {
    if (!passing.isCommand || passing.direction !== direction || passing.type !== type) return false;
    if (statement !== null && passing.statement !== statement) return false;
    seen += 1;
    return seen === nth;
  };
}
