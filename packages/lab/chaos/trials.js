// @ts-check
// Trials of parallel refreshes: many callers with one token at once, of whom all must get the same successor, which works.
import { adopt, open, SAFE_SHARE_OF_WINDOW } from './clients/holding.js';
import { playScene } from './clients/play.js';

/** @typedef {import('./clients/scene.js').Scene} Scene */
/** @typedef {import('./clients/scene.js').Held} Held */

/** Trials in one session come one after the other; so many sessions have theirs side by side. */
const LANES = 6;

/** How many callers, and how often of a hundred: few tabs mostly, and now and then a client that has gone mad. */
const CALLERS = /** @type {const} */ ([
  { share: 70, fewest: 2, most: 3 },
  { share: 20, fewest: 4, most: 8 },
  { share: 6, fewest: 9, most: 25 },
  { share: 4, fewest: 26, most: 50 },
]);

/** As many of each as its share. */
const DRAW = CALLERS.flatMap((one) => Array.from({ length: one.share }, () => one));

/** Seconds before the end of a session from which on another is used: a trial tries again for half as long, and waits for its answer. */
const SPARE_SECONDS = 12;

/** Of the callers, who are gone before the answer comes. */
const LOST_SHARE = 0.12;

/**
 * @typedef {object} Trials
 * @property {number} trials in which somebody had an answer
 * @property {number} callers
 * @property {number} falseLogouts callers who were told that their session is over
 * @property {number} secondSuccessors successors beside the first one of a token
 * @property {number} deadSuccessors access tokens that came with them and were not active
 * @property {number} unanswered trials in which nobody had an answer in time
 */

/**
 * @param {object} options
 * @param {import('./clients/play.js').Cluster} options.cluster
 * @param {import('./history.js').Recorder} options.recorder
 * @param {() => number} options.random
 * @param {import('./term.js').Term} options.term
 * @param {number} options.least how many there are to be before it is over
 * @returns {Promise<Trials & import('./questions.js').Manners>}
 */
export async function runTrials({ cluster, recorder, random, term, least }) {
  return await playScene({ cluster, recorder, random, users: 20, untilMs: term.lastMs }, async (scene) => {
    /** @type {Trials} */
    const counts = {
      trials: 0,
      callers: 0,
      falseLogouts: 0,
      secondSuccessors: 0,
      deadSuccessors: 0,
      unanswered: 0,
    };
    const isDone = () => term.isOver(() => counts.trials >= least);
    await Promise.all(Array.from({ length: LANES }, () => runLane(scene, counts, isDone)));
    return counts;
  });
}

/** @param {Scene} scene @param {Trials} counts @param {() => boolean} isDone */
async function runLane(scene, counts, isDone) {
  while (!isDone()) {
    const held = await open(scene, { honest: true });
    if (held === null) return;
    const { session_exp: end } = held.access.claims;
    while (!isDone() && !held.isOver && Date.now() / 1000 < end - SPARE_SECONDS)
      await tryOnce(scene, held, counts);
  }
}

/** @param {Scene} scene @param {Held} held @param {Trials} counts */
async function tryOnce(scene, held, counts) {
  const { refresh: token } = held;
  const { fewest, most } = scene.pick(DRAW);
  const callers = Math.round(scene.between(fewest, most));
  const lastTryAt = scene.now() + SAFE_SHARE_OF_WINDOW * 1000 * scene.rules.replayWindow;
  counts.callers += callers;
  let replies = await refreshAtOnce(scene, held, token, callers);
  // Whoever lost the answer asks again, as the window allows.
  while (!replies.some(({ outcome }) => outcome !== 'unknown') && scene.now() <= lastTryAt)
    replies = replies.concat(await refreshAtOnce(scene, held, token, 1));
  const answered = replies.filter(({ outcome }) => outcome === 'ok');
  const refused = replies.filter(
    ({ outcome, error }) => outcome === 'refused' && error !== 'too_many_requests',
  );
  counts.falseLogouts += refused.length;
  const successors = new Set(answered.map(({ refresh }) => refresh));
  counts.secondSuccessors += Math.max(0, successors.size - 1);
  const [first] = answered;
  if (first === undefined) {
    if (refused.length === 0) counts.unanswered += 1;
    held.isOver = true;
    return;
  }
  counts.trials += 1;
  adopt(held, first);
  await confirm(scene, held, scene.pick(answered).tokens.access, counts);
}

/** @param {Scene} scene @param {Held} held @param {Held['refresh']} token @param {number} callers */
function refreshAtOnce(scene, held, token, callers) {
  return Promise.all(
    Array.from({ length: callers }, () =>
      scene.ask.refresh(held.caller, scene.replica(), token, {
        dropAfterMs: scene.chance(LOST_SHARE) ? scene.between(0, 10) : undefined,
      }),
    ),
  );
}

/** Any of the access tokens that came. @param {Scene} scene @param {Held} held @param {Held['access'] | undefined} access @param {Trials} counts */
async function confirm(scene, held, access, counts) {
  if (access === undefined) return;
  const { active } = await scene.ask.introspect(held.caller, scene.replica(), access);
  if (active === false) counts.deadSuccessors += 1;
}
