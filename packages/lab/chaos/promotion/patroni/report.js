// @ts-check
// What a drill under Patroni has found: counted for each kind of round, judged, and as lines for people.
import { judgeStage } from '../report.js';
import { seconds } from '../waits.js';

/**
 * @typedef {object} KindFindings
 * @property {number} rounds
 * @property {number} acknowledged ends that were acknowledged in these rounds
 * @property {Spread} loginMs the longest time without a login, for each round
 * @property {Spread} refreshMs
 * @property {Spread} introspectionMs
 * @property {Spread} leadMs until another server led
 */

/** @typedef {{ median: number, worst: number }} Spread */

/**
 * @param {import('./drill.js').Stage} stage
 * @param {import('./drill.js').Course} course
 * @param {number} tookMs
 */
export async function summarisePatroni(stage, { rounds, asked, uncertain }, tookMs) {
  const { cluster, recorder, ledger, audit } = stage;
  await stage.readBeats();
  const history = recorder.history();
  const { violations, exits } = judgeStage(stage, history);
  const leader = await cluster.leader();
  const [version] = await leader.query('SHOW server_version');
  return {
    postgres: String(version?.server_version),
    patroni: await leader.version(),
    tookMs,
    kinds: summariseRounds(rounds),
    operations: history.operations.length,
    unanswered: ledger.counts.unanswered,
    endsAcknowledged: ledger.ended.length,
    endsAsked: audit.counts.endsAsked,
    endsWatched: asked,
    endsLost: audit.counts.lost,
    mintedAfterEnd: audit.counts.minted,
    livingAsked: audit.counts.livingAsked,
    dead: audit.counts.dead,
    honestLogouts: ledger.counts.honestLogouts,
    endsGivenUp: ledger.uncertain.length,
    endsGivenUpThatHappened: uncertain,
    tooManyRequests: ledger.counts.told429,
    unexpectedExits: exits.length,
    violations,
  };
}

/**
 * @param {import('./drill.js').Round[]} rounds
 * @returns {Record<string, KindFindings>}
 */
export function summariseRounds(rounds) {
  return Object.fromEntries(
    [...new Set(rounds.map(({ kind }) => kind))].map((kind) => {
      const own = rounds.filter((round) => round.kind === kind);
      return [
        kind,
        {
          rounds: own.length,
          acknowledged: own.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
          loginMs: spreadOf(own.map(({ silenceMs }) => silenceMs.login)),
          refreshMs: spreadOf(own.map(({ silenceMs }) => silenceMs.refresh)),
          introspectionMs: spreadOf(own.map(({ silenceMs }) => silenceMs.introspect)),
          leadMs: spreadOf(own.map(({ ledAfterMs }) => ledAfterMs)),
        },
      ];
    }),
  );
}

/**
 * @param {number[]} values not empty
 * @returns {Spread}
 */
function spreadOf(values) {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  const median = (Number(sorted[Math.floor(middle)]) + Number(sorted[Math.ceil(middle)])) / 2;
  return { median, worst: Number(sorted.at(-1)) };
}

/** @param {Awaited<ReturnType<typeof summarisePatroni>>} findings */
export function describePatroni(findings) {
  /** @param {Spread} spread */
  const tell = ({ median, worst }) => `${seconds(median)} (worst ${seconds(worst)})`;
  const lines = [
    `PostgreSQL ${findings.postgres} under Patroni ${findings.patroni}: three servers, one etcd, HAProxy, PgBouncer before one of two replicas`,
    ...Object.entries(findings.kinds).map(
      ([kind, { rounds, acknowledged, loginMs, refreshMs, introspectionMs, leadMs }]) =>
        `${kind}: ${rounds} rounds, ${acknowledged} ends acknowledged; another leads after ${tell(leadMs)}, no introspection for ${tell(introspectionMs)}, no refresh for ${tell(refreshMs)}, no login for ${tell(loginMs)}`,
    ),
    `${findings.operations} operations in ${seconds(findings.tookMs)}, ${findings.unanswered} without an answer`,
    `ends acknowledged: ${findings.endsAcknowledged}, asked about ${findings.endsAsked} times and ${findings.endsWatched} times while servers changed, lost: ${findings.endsLost}; refresh tokens of ended sessions that minted: ${findings.mintedAfterEnd}`,
    `honest users logged out: ${findings.honestLogouts}; living tokens asked about: ${findings.livingAsked}, dead: ${findings.dead}`,
    `ends answered 503 and not asked for again: ${findings.endsGivenUp}, of which ${findings.endsGivenUpThatHappened} happened`,
    `logins told to wait (429): ${findings.tooManyRequests}; unexpected exits: ${findings.unexpectedExits}`,
    findings.violations.length === 0 ? 'no violation' : `VIOLATIONS: ${findings.violations.length}`,
    ...findings.violations.slice(0, 50),
  ];
  return `${lines.join('\n')}\n`;
}
