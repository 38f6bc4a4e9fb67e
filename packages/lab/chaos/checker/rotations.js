// @ts-check
// When the refresh tokens of a session were spent: for each generation the earliest and the latest it can have been.
import { latestEffect } from './deadlines.js';
import { createLeastAfter } from './least-after.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */

/** A refresh that was not refused: it may have rotated. @typedef {{ operation: Operation, generation: number, successor: Token | null }} Refresh */

/**
 * The rotation of one generation to the next; there is but one.
 *
 * @typedef {object} Rotation
 * @property {Operation} first of all that may have done it, the one that began first
 * @property {number} firstStart
 * @property {number} secondStart of the others, the earliest
 * @property {number} sureBy the earliest end of those that were answered: by then it was done
 * @property {number} latest by then it was done, or never will be
 * @property {Token | null} successor of the next generation, as first answered
 */

/** @typedef {ReturnType<typeof createRotations>} Rotations */

/** @type {Rotations} */
export const NO_ROTATIONS = {
  isSurelySpent: () => false,
  mayBeSpent: () => false,
  isOnlyBy: () => false,
  firstStartOf: () => Infinity,
  surelySince: () => Infinity,
  lastEndsBy: () => -Infinity,
  lastStartsBy: () => -Infinity,
  thefts: [],
};

/**
 * @param {Refresh[]} refreshes of one session, those refused left out
 * @param {import('./clock.js').Clock} clock
 * @param {import('../history.js').Rules} rules
 */
export function createRotations(refreshes, clock, rules) {
  /** @type {Map<number, Rotation>} */
  const rotations = new Map();
  for (const refresh of refreshes) addRefresh(rotations, refresh);

  const all = [...rotations].map(([generation, rotation]) => ({
    ...bracketOf(rotation, clock),
    generation,
    rotation,
  }));
  const lastEnd = createLeastAfter(
    all.map((one) => ({ at: -one.rotation.firstStart, value: -one.end, tag: null, of: one })),
  );
  const sure = createLeastAfter(
    all
      .filter(({ rotation }) => rotation.sureBy < Infinity)
      .map((one) => ({ at: -one.rotation.sureBy, value: -one.start, tag: null, of: one })),
  );
  const starts = new Map(all.map(({ generation, start }) => [generation, start]));

  const lastStartsBy = (/** @type {number} */ moment) => {
    const latest = sure(-moment);
    return latest === null ? -Infinity : -latest.value;
  };

  const surelySince = (/** @type {number} */ generation, /** @type {number} */ moment) =>
    Math.max(starts.get(generation) ?? Infinity, lastStartsBy(moment));

  const known = {
    /** Whether the token of this generation was surely spent before the moment. @param {number} generation @param {number} moment */
    isSurelySpent: (generation, moment) => (rotations.get(generation)?.sureBy ?? Infinity) < moment,

    /** Whether it can have been spent before the moment. @param {number} generation @param {number} moment */
    mayBeSpent: (generation, moment) => (rotations.get(generation)?.firstStart ?? Infinity) < moment,

    /** When the first began that may have spent it. @param {number} generation */
    firstStartOf: (generation) => rotations.get(generation)?.firstStart ?? Infinity,

    /** Whether nobody but this can have spent the token of this generation by then. @param {number} generation @param {Operation} operation */
    isOnlyBy: (generation, operation) => {
      const rotation = rotations.get(generation);
      return rotation?.first === operation && rotation.secondStart >= operation.end;
    },

    /**
     * The session's last rotation before the moment was at this time or later, if the token of this generation was spent
     * by then. A rotation that was acknowledged is there for sure, and later ones bring the last one nearer.
     */
    surelySince,

    /** The session's last rotation before the moment was at this time or later. */
    lastStartsBy,

    /** The latest that any rotation can have been that began before the moment: the last one is no later. @param {number} moment */
    lastEndsBy: (/** @type {number} */ moment) => {
      const latest = lastEnd(-moment);
      return latest === null ? -Infinity : -latest.value;
    },
  };
  return { ...known, thefts: findThefts(refreshes, rotations, surelySince, clock, rules) };
}

/**
 * @param {Map<number, Rotation>} rotations
 * @param {Refresh} refresh
 */
function addRefresh(rotations, { operation, generation, successor }) {
  const { start, end, outcome } = operation;
  const sureBy = outcome === 'ok' ? end : Infinity;
  const latest = latestEffect(operation);
  const known = rotations.get(generation);
  const fits = successor?.generation === generation + 1 ? successor : null;
  if (known === undefined) {
    rotations.set(generation, {
      first: operation,
      firstStart: start,
      secondStart: Infinity,
      sureBy,
      latest,
      successor: fits,
    });
    return;
  }
  known.secondStart = Math.min(known.secondStart, Math.max(known.firstStart, start));
  if (start < known.firstStart) {
    known.first = operation;
    known.firstStart = start;
  }
  known.sureBy = Math.min(known.sureBy, sureBy);
  known.latest = Math.max(known.latest, latest);
  known.successor ??= fits;
}

/**
 * A rotation lies between the start of the first that may have done it and the first answer that tells of it; and within the
 * second that the successor claims as its `iat`, unless that contradicts it.
 *
 * @param {Rotation} rotation
 * @param {import('./clock.js').Clock} clock
 */
function bracketOf({ firstStart, sureBy, latest, successor }, clock) {
  const whole = { start: firstStart, end: Math.min(sureBy, latest) };
  if (successor === null) return whole;
  const iat = Number(successor.claims['iat']);
  const start = Math.max(firstStart, clock.bracketOf(iat).start);
  const end = Math.min(sureBy, clock.bracketOf(iat + 1).end);
  return start <= end ? { start, end } : whole;
}

/**
 * When refreshes without an answer may have ended the session as theft: each may be decided until the service's deadlines have
 * passed, also when another has spent its token and the window has closed since.
 *
 * @param {Refresh[]} refreshes
 * @param {Map<number, Rotation>} rotations
 * @param {(generation: number, moment: number) => number} surelySince
 * @param {import('./clock.js').Clock} clock
 * @param {import('../history.js').Rules} rules
 * @returns {import('./spans.js').Span[]}
 */
function findThefts(refreshes, rotations, surelySince, clock, rules) {
  return refreshes.flatMap(({ operation, generation }) => {
    const rotation = rotations.get(generation);
    if (operation.outcome !== 'unknown' || rotation === undefined) return [];
    const byOthers = rotation.first === operation ? rotation.secondStart : rotation.firstStart;
    const since = Math.max(byOthers, surelySince(generation, operation.start));
    const from = Math.max(operation.start, since + rules.replayWindow * 1000 - clock.slackMs);
    const until = latestEffect(operation);
    return from < until ? [{ from, until, of: operation }] : [];
  });
}
