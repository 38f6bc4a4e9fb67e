// @ts-check
// The session of a history that shows most: used in parallel, struck by kills, ended for certain, and asked about afterwards everywhere.
import { createWorld } from '../checker/world.js';
import { ENDS, isNegative, isPositive, isProofOf } from './answers.js';
import { scoreOf } from './score.js';

/** @typedef {import('../history.js').History} History */
/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {ReturnType<typeof createWorld>} World */

/** @typedef {{ target: string, name: string, at: number, backAt: number }} Kill `backAt`: the first answer that shows that it is back */

/**
 * @typedef {object} Telling
 * @property {number} seed
 * @property {string} sid
 * @property {Operation} login
 * @property {Operation} end the acknowledged one
 * @property {Operation[]} operations about the session, in the order of their starts
 * @property {string[]} replicas all that the history knows
 * @property {Kill[]} kills between `fromMs` and `toMs`
 * @property {number} fromMs
 * @property {number} toMs
 */

/** How long after the end a picture goes on, at the least and at the most; longer to show that a kill brings nothing back. */
const LEAST_AFTERMATH_MS = 500;
const MOST_AFTERMATH_MS = 3000;

/**
 * @param {History} history
 * @returns {Telling | null} null where no session has an end of its own that was acknowledged and seen on every replica
 */
export function findTelling(history) {
  const world = createWorld(history);
  const answered = world.operations.filter(({ kind, replica }) => kind !== 'fault' && replica !== 'operator');
  const replicas = [...new Set(answered.map(({ replica }) => replica))].sort();
  let best = null;
  let bestScore = -Infinity;
  for (const [sid, operations] of bySession(world)) {
    const told = tell(world, replicas, sid, operations);
    if (told === null) continue;
    const score = scoreOf(told);
    if (score > bestScore) [best, bestScore] = [told, score];
  }
  if (best === null) return null;
  const kills = best.kills.map((kill) => ({ ...kill, backAt: findReturn(answered, kill) }));
  return { ...best, kills };
}

/** @param {World} world @returns {Map<string, Operation[]>} */
function bySession({ operations, tokens }) {
  /** @type {Map<string, Operation[]>} */
  const found = new Map();
  for (const operation of operations) {
    const { sid = operation.token === undefined ? undefined : tokens[operation.token]?.sid } = operation;
    if (sid === undefined) continue;
    const known = found.get(sid);
    if (known === undefined) found.set(sid, [operation]);
    else known.push(operation);
  }
  return found;
}

/**
 * @param {World} world
 * @param {string[]} replicas
 * @param {string} sid
 * @param {Operation[]} all
 * @returns {Telling | null}
 */
function tell({ sessions, kills, seed }, replicas, sid, all) {
  const { login = null, ended: end = null } = sessions.get(sid) ?? {};
  if (login === null || end === null || !ENDS.has(end.kind) || !all.includes(end)) return null;
  const later = all.filter((one) => one.start > end.end && isNegative(one));
  if (!replicas.every((replica) => later.some((one) => one.replica === replica))) return null;
  const fromMs = login.start;
  const toMs = end.end + Math.max(LEAST_AFTERMATH_MS, proveMs(kills, end, later));
  return {
    seed,
    sid,
    login,
    end,
    replicas,
    operations: all.filter(({ start }) => start < toMs).toSorted((a, b) => a.start - b.start),
    kills: kills
      .filter(({ start, target }) => start > fromMs && start < toMs && typeof target === 'string')
      .map(({ target, name = '', end: at }) => ({ target: String(target), name, at, backAt: Infinity })),
    fromMs,
    toMs,
  };
}

/**
 * How long after the end a kill has been shown to bring nothing back; 0 where nobody has seen that soon enough.
 *
 * @param {Operation[]} kills
 * @param {Operation} end
 * @param {Operation[]} later that found it inactive
 */
function proveMs(kills, end, later) {
  const proofs = kills
    .filter((kill) => kill.start > end.end)
    .flatMap(
      (kill) => later.find((one) => isProofOf(one, { target: kill.target ?? null, at: kill.end })) ?? [],
    )
    .map((proof) => proof.end - end.end + LEAST_AFTERMATH_MS / 2);
  return Math.max(0, ...proofs.filter((ms) => ms < MOST_AFTERMATH_MS));
}

/**
 * When the first question after a kill was answered: by the replica, or, of PostgreSQL, by any with a yes.
 *
 * @param {Operation[]} answered
 * @param {{ target: string, at: number }} kill
 */
function findReturn(answered, { target, at }) {
  /** @param {Operation} one */
  const isSign = (one) =>
    target === 'postgres' ? isPositive(one) : one.replica === target && one.outcome !== 'unknown';
  return answered.reduce(
    (least, one) => (one.start > at && isSign(one) ? Math.min(least, one.end) : least),
    Infinity,
  );
}
