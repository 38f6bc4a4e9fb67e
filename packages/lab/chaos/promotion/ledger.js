// @ts-check
// What callers know of their sessions, for the drill's own count: what was acknowledged as ended, and how long they waited.

/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('../history.js').Operation} Operation */

/**
 * @typedef {object} Kept a session as its only caller knows it
 * @property {string} sid
 * @property {Token} access the latest
 * @property {Token} refresh the latest
 * @property {boolean} isEnding from the first attempt to end it or this access token
 */

/**
 * @typedef {object} Ended something whose end was acknowledged
 * @property {Token} access
 * @property {Token | null} refresh null where the session lives on
 */

/** What is asked of the primary alone, and what waits for a standby. */
const READS = new Set(['introspect', 'session']);
const ENDS = new Set(['logout', 'logout-all', 'end-session', 'revoke']);

/** @typedef {ReturnType<typeof createLedger>} Ledger */

export function createLedger() {
  /** @type {string[]} */
  const wrong = [];
  /** @type {Set<Kept>} */
  const kept = new Set();
  /** @type {Ended[]} */
  const ended = [];
  /** Ended as far as anybody knows: the answer was 503, and nobody asked again. @type {Token[]} */
  const uncertain = [];
  const longestWaitMs = { read: 0, refresh: 0, end: 0, login: 0 };
  const counts = { answered: 0, unanswered: 0, told429: 0, unansweredByStandby: 0, honestLogouts: 0 };
  /** @type {number | null} */
  let misdirectedSince = null;
  /** @type {{ sinceMs: number, first: Map<string, number> } | null} */
  let watch = null;

  /** @param {Omit<Operation, 'id'>} operation */
  function note(operation) {
    const { kind, replica, outcome, status, start, end } = operation;
    if (outcome === 'unknown') counts.unanswered += 1;
    else counts.answered += 1;
    if (status === 429) counts.told429 += 1;
    if (misdirectedSince !== null && start >= misdirectedSince) {
      if (outcome === 'unknown') counts.unansweredByStandby += 1;
      // Limits on guessing are remembered for a second by the replica itself.
      else if (status !== 429)
        wrong.push(`${replica} answered ${kind} with ${status} while it reached but a standby`);
    }
    if (watch === null || outcome !== 'ok' || start < watch.sinceMs) return;
    const key = `${groupOf(kind)} ${replica}`;
    if (!watch.first.has(key)) watch.first.set(key, end - watch.sinceMs);
  }

  return {
    wrong,
    kept,
    ended,
    uncertain,
    longestWaitMs,
    counts,
    note,
    /** An honest client has lost a session that nobody ended. @param {string} what */
    logout: (what) => {
      counts.honestLogouts += 1;
      wrong.push(what);
    },
    /** From now on nothing may be answered. @param {number} nowMs */
    beginMisdirection: (nowMs) => void (misdirectedSince = nowMs),
    endMisdirection: () => void (misdirectedSince = null),
    /** @param {number} sinceMs the primary's death */
    watchFrom: (sinceMs) => void (watch = { sinceMs, first: new Map() }),
    /** Until the first answer since then that was asked since then, on the replica that was the last to give one. */
    firstAnswersMs: () => {
      const first = [...(watch?.first ?? [])];
      /** @param {string} group */
      const slowest = (group) =>
        Math.max(...first.filter(([key]) => key.startsWith(group)).map(([, ms]) => ms), -Infinity);
      return { read: slowest('read'), refresh: slowest('refresh'), end: slowest('end') };
    },
    /**
     * @param {keyof typeof longestWaitMs} group
     * @param {number} ms
     */
    waited: (group, ms) => void (longestWaitMs[group] = Math.max(longestWaitMs[group], ms)),
  };
}

/**
 * @param {string} kind
 * @returns {'read' | 'refresh' | 'end' | 'login'}
 */
export function groupOf(kind) {
  if (READS.has(kind)) return 'read';
  if (ENDS.has(kind)) return 'end';
  return kind === 'login' ? 'login' : 'refresh';
}
