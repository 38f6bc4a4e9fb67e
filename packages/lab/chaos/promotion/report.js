// @ts-check
// What a drill has found: counted, judged, and as lines for people.
import { check } from '../checker.js';
import { seconds } from './waits.js';

/**
 * @typedef {object} Findings
 * @property {string} postgres its version
 * @property {string} front
 * @property {number} standbys
 * @property {number} promotions
 * @property {number} tookMs
 * @property {number} operations
 * @property {number} answered
 * @property {number} unanswered
 * @property {number} endsAcknowledged
 * @property {number} endsAsked introspections of ended things, each on every replica
 * @property {number} endsLost
 * @property {number} mintedAfterEnd
 * @property {number} livingAsked
 * @property {number} dead
 * @property {number} endsGivenUp answered 503 and not asked for again
 * @property {number} endsGivenUpThatHappened
 * @property {{ reads: number, refreshes: number, ends: number }} longestOutageMs from a kill to the first answer on the last replica
 * @property {Record<string, number>} longestWaitMs of one caller that asks again until it is told
 * @property {{ times: number, standbyConnections: number, unanswered: number }} misdirected
 * @property {import('./drill.js').Course['withoutStandby']} withoutStandby
 * @property {number} tooManyRequests
 * @property {number} unexpectedExits
 * @property {string[]} violations
 */

/**
 * @param {import('./plain.js').PlainStage} stage
 * @param {import('./drill.js').Course} course
 * @param {number} tookMs
 * @returns {Promise<Findings>}
 */
export async function summarise(stage, { withoutStandby, outages, wrongs, uncertain }, tookMs) {
  const { group, front, recorder, ledger, audit } = stage;
  await stage.readBeats();
  const history = recorder.history();
  const { violations, exits } = judgeStage(stage, history);
  const [server] = await group.primary().query('SHOW server_version');
  return {
    postgres: String(server?.server_version),
    front: front.name,
    standbys: group.standbys().length,
    promotions: outages.length,
    tookMs,
    operations: history.operations.length,
    answered: ledger.counts.answered,
    unanswered: ledger.counts.unanswered,
    endsAcknowledged: ledger.ended.length,
    endsAsked: audit.counts.endsAsked,
    endsLost: audit.counts.lost,
    mintedAfterEnd: audit.counts.minted,
    livingAsked: audit.counts.livingAsked,
    dead: audit.counts.dead,
    endsGivenUp: ledger.uncertain.length,
    endsGivenUpThatHappened: uncertain,
    longestOutageMs: {
      reads: Math.max(...outages.map(({ read }) => read)),
      refreshes: Math.max(...outages.map(({ refresh }) => refresh)),
      ends: Math.max(...outages.map(({ end }) => end)),
    },
    longestWaitMs: ledger.longestWaitMs,
    misdirected: {
      times: wrongs.length,
      standbyConnections: wrongs.reduce((sum, { standbyConnections }) => sum + standbyConnections, 0),
      unanswered: ledger.counts.unansweredByStandby,
    },
    withoutStandby,
    tooManyRequests: ledger.counts.told429,
    unexpectedExits: exits.length,
    violations,
  };
}

/**
 * All that any drill calls wrong: by its own count, by the manners of each answer, and by the checker.
 *
 * @param {import('./stage.js').Stage} stage
 * @param {import('../history.js').History} history
 */
export function judgeStage({ ledger, questions, replicas }, history) {
  const exits = replicas.flatMap((replica) => replica.exits);
  const violations = [
    ...ledger.wrong,
    ...questions.manners().told,
    ...exits.map(({ replica, code, signal }) => `${replica} ended by itself: ${code ?? signal}`),
    ...check(history).violations.map(({ rule, message }) => `${rule}: ${message}`),
  ];
  return { violations, exits };
}

/** @param {Findings} findings */
export function describe(findings) {
  const { longestOutageMs: outage, longestWaitMs: wait, misdirected, withoutStandby: without } = findings;
  const lines = [
    `PostgreSQL ${findings.postgres} with ${findings.standbys} synchronous standby(s) behind ${findings.front}`,
    `${findings.promotions} promotions in ${seconds(findings.tookMs)}, ${findings.operations} operations recorded, ${findings.unanswered} without an answer`,
    `ends acknowledged: ${findings.endsAcknowledged}, asked about ${findings.endsAsked} times, lost: ${findings.endsLost}; refresh tokens of ended sessions that minted: ${findings.mintedAfterEnd}`,
    `ends answered 503 and not asked for again: ${findings.endsGivenUp}, of which ${findings.endsGivenUpThatHappened} happened`,
    `living tokens asked about: ${findings.livingAsked}, dead: ${findings.dead}`,
    `longest outage after a kill: introspection ${seconds(outage.reads)}, refresh ${seconds(outage.refreshes)}, ends ${seconds(outage.ends)}`,
    `longest wait of a caller that asks again: introspection ${seconds(wait['read'] ?? 0)}, refresh ${seconds(wait['refresh'] ?? 0)}, ends ${seconds(wait['end'] ?? 0)}, login ${seconds(wait['login'] ?? 0)}`,
    `led to a standby: ${misdirected.times} times, ${misdirected.standbyConnections} connections turned down, ${misdirected.unanswered} requests without an answer`,
    `an end while the standby is away: ${without.status} after ${seconds(without.tookMs)}; active meanwhile: ${without.activeMeanwhile}, afterwards: ${without.activeAfterwards}`,
    `logins told to wait (429): ${findings.tooManyRequests}; unexpected exits: ${findings.unexpectedExits}`,
    findings.violations.length === 0 ? 'no violation' : `VIOLATIONS: ${findings.violations.length}`,
    ...findings.violations.slice(0, 50),
  ];
  return `${lines.join('\n')}\n`;
}
