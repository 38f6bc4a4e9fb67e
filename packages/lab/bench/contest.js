// Measures several servers in one run: in turns, several rounds, and the median of each figure.
import { cpuUsOfPostgres, usageOf } from './machine.js';
import { putLoad } from './load.js';

/**
 * @param contestants {[name]: {server: {port, pids}, job: () => job}}; `job` may prepare requests for each round
 * @param options.rounds besides one that is not counted, in which code gets compiled and memories fill
 * @returns {Promise<Record<string, {requestsPerSecond: number, p50: number, p99: number, cpuUs: number, residentMb: number, errors: number}>>} times in ms, CPU per request
 */
export async function compare(contestants, { rounds, durationMs, connections }) {
  const names = Object.keys(contestants);
  const figures = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    // Whoever goes first has no advantage: every second round begins at the other end.
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const { server, job } = contestants[name];
      const measured = await measure(server, { connections, durationMs, ...(await job(round)) });
      if (round > 0) figures[name].push(measured);
    }
  }
  return Object.fromEntries(names.map((name) => [name, medians(figures[name])]));
}

/** One load on one server. */
export async function measure({ port, pids, postgresPid = null }, job) {
  const before = await usageOf(pids);
  const postgresBefore = await cpuUsOfPostgres(postgresPid);
  const { tookMs, failed, dropped, answers } = await putLoad({ port, ...job });
  const after = await usageOf(pids);
  const postgresAfter = await cpuUsOfPostgres(postgresPid);
  const good = answers[job.status ?? 200] ?? { count: 0, p50: NaN, p99: NaN, max: NaN };
  const count = Object.values(answers).reduce((sum, each) => sum + each.count, 0);
  return {
    requestsPerSecond: good.count / (tookMs / 1000),
    p50: good.p50,
    p99: good.p99,
    max: good.max,
    cpuUs: (after.cpuUs - before.cpuUs) / count,
    postgresCpuUs: (postgresAfter - postgresBefore) / count,
    residentMb: after.residentBytes / 2 ** 20,
    errors: count - good.count + failed + dropped,
  };
}

function medians(rounds) {
  return Object.fromEntries(
    Object.keys(rounds[0]).map((figure) => [figure, median(rounds.map((round) => round[figure]))]),
  );
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
