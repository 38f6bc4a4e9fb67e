// @ts-check
// What a drill waits for before it goes on: load, answers, and enough to ask about.
import { setTimeout as sleep } from 'node:timers/promises';

/** Callers have the primary to themselves before it dies, for so long and until so many of their ends were acknowledged. */
const LOAD_MS = 1000;
const LOAD_ENDS = 12;

/** How long a slow machine is given for that. */
const LOAD_PATIENCE_MS = 30_000;

/** An audit of what lives begins with so many sessions for each caller. */
const LIVING_PER_CALLER = 0.75;
const LIVING_PATIENCE_MS = 30_000;

const ENDING_PATIENCE_MS = 60_000;

/** @typedef {import('./ledger.js').Ledger} Ledger */

/**
 * @param {{ ledger: Ledger }} stage
 * @param {number=} patienceMs
 */
export async function underLoad({ ledger }, patienceMs = LOAD_PATIENCE_MS) {
  const wanted = ledger.ended.length + LOAD_ENDS;
  const least = sleep(LOAD_MS);
  if (!(await comesTrue(() => ledger.ended.length >= wanted, patienceMs)))
    ledger.wrong.push(`fewer than ${LOAD_ENDS} ends acknowledged in ${patienceMs / 1000} s of load`);
  await least;
}

/** @param {import('../replica.js').Replica[]} replicas */
export async function untilReady(replicas) {
  for (const replica of replicas) while (!(await replica.isReady())) await sleep(20);
}

/** Both kinds of answers have come since the kill, from somebody. @param {Ledger} ledger */
export async function untilEnding(ledger) {
  const haveCome = () => {
    const { read, end } = ledger.firstAnswersMs();
    return read > 0 && end > 0;
  };
  if (!(await comesTrue(haveCome, ENDING_PATIENCE_MS)))
    ledger.wrong.push(`no end was acknowledged within ${ENDING_PATIENCE_MS / 1000} s of a promotion`);
}

/** There is enough to ask about: logins come slowly after a failover. @param {{ ledger: Ledger, users: string[] }} stage */
export async function untilLiving({ ledger, users }) {
  const living = () => [...ledger.kept].filter(({ isEnding }) => !isEnding).length;
  await comesTrue(() => living() >= LIVING_PER_CALLER * users.length, LIVING_PATIENCE_MS);
}

/**
 * Waits for it.
 *
 * @param {() => boolean} isTrue
 * @param {number} patienceMs
 * @returns {Promise<boolean>} false when it did not come true in time
 */
export async function comesTrue(isTrue, patienceMs) {
  const startedAt = performance.now();
  while (!isTrue()) {
    if (performance.now() - startedAt > patienceMs) return false;
    await sleep(50);
  }
  return true;
}

/**
 * @template T
 * @param {T[]} list
 * @param {number} most
 * @param {() => number} random
 */
export function sample(list, most, random) {
  if (list.length <= most) return list;
  return Array.from({ length: most }, () => /** @type {T} */ (list[Math.floor(random() * list.length)]));
}

/** @param {number} ms */
export function seconds(ms) {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(1)} s` : 'never';
}
