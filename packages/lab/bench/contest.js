// Measures several servers in one run: in turns, several rounds, and the median of each figure.
import { cpuUsOfPostgres, usageOf } from './machine.js';
import { askThroughPackage, putLoad } from './load.js';
import { median } from './numbers.js';

/**
 * @param contestants {[name]: {server: {port, pids}, job: () => job}}; `job` may prepare requests for each round
 * @param options.rounds besides one that is not counted, in which code gets compiled and memories fill
 * @returns {Promise<Record<string, {requestsPerSecond: number, p50: number, p99: number, cpuUs: number, residentMb: number, errors: number}>>} times in ms, CPU per request
 */
export function compare(contestants, { rounds, durationMs, connections }) {
  const measures = Object.entries(contestants).map(([name, { server, job }]) => [
    name,
    async (round) => measure(server, { connections, durationMs, ...(await job(round)) }),
  ]);
  return measureInTurn(Object.fromEntries(measures), rounds);
}

/**
 * @param measures {[name]: (round) => Promise<{[figure]: number}>}
 * @param rounds besides one that is not counted
 * @returns {Promise<Record<string, Record<string, number>>>} of each the median of each figure
 */
export async function measureInTurn(measures, rounds) {
  const names = Object.keys(measures);
  const figures = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    // Whoever goes first has no advantage: every second round begins at the other end.
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const measured = await measures[name](round);
      if (round > 0) figures[name].push(measured);
    }
  }
  return Object.fromEntries(names.map((name) => [name, medians(figures[name])]));
}

/** One load on one server. */
export async function measure(server, job) {
  const { done, used } = await watch(server, () => putLoad({ port: server.port, ...job }));
  const { tookMs, failed, dropped, answers } = done;
  const good = answers[job.status ?? 200] ?? { count: 0, p50: NaN, p99: NaN, max: NaN };
  const count = Object.values(answers).reduce((sum, each) => sum + each.count, 0);
  return {
    requestsPerSecond: good.count / (tookMs / 1000),
    p50: good.p50,
    p99: good.p99,
    max: good.max,
    cpuUs: used.cpuUs / count,
    postgresCpuUs: used.postgresCpuUs / count,
    residentMb: used.residentMb,
    errors: count - good.count + failed + dropped,
  };
}

/**
 * One caller that asks one server through the package for resource servers, see `askThroughPackage`.
 *
 * @returns as `measure` does, of each verdict: `cpuUs` of the server and the caller together, `callerCpuUs` its part of it
 */
export async function measureCaller(server, job) {
  const { done, used } = await watch(server, () => askThroughPackage({ port: server.port, ...job }));
  const { tookMs, failed, verdicts, callerCpuUs } = done;
  const count = verdicts.count + failed;
  return {
    requestsPerSecond: verdicts.count / (tookMs / 1000),
    p50: verdicts.p50,
    p99: verdicts.p99,
    max: verdicts.max,
    cpuUs: (used.cpuUs + callerCpuUs) / count,
    callerCpuUs: callerCpuUs / count,
    postgresCpuUs: used.postgresCpuUs / count,
    residentMb: used.residentMb,
    errors: failed,
  };
}

/** What `work` gives, and what a server and its PostgreSQL used meanwhile. */
async function watch({ pids, postgresPid = null }, work) {
  const before = await usageOf(pids);
  const postgresBefore = await cpuUsOfPostgres(postgresPid);
  const done = await work();
  const after = await usageOf(pids);
  const postgresAfter = await cpuUsOfPostgres(postgresPid);
  const used = {
    cpuUs: after.cpuUs - before.cpuUs,
    postgresCpuUs: postgresAfter - postgresBefore,
    residentMb: after.residentBytes / 2 ** 20,
  };
  return { done, used };
}

function medians(rounds) {
  return Object.fromEntries(
    Object.keys(rounds[0]).map((figure) => [figure, median(rounds.map((round) => round[figure]))]),
  );
}
