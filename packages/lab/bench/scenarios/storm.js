// A storm of logins: does whoever asks about tokens notice it, and how many logins succeed in it?
import { measure } from '../contest.js';
import { putLoad } from '../load.js';
import { createLogins, openWorldOfLogins, startArgon2, VERIFY } from '../logins.js';
import { median } from '../numbers.js';
import { startGatehouse } from '../servers.js';
import { prepareTraffic } from './introspect.js';

/** How many times as many logins come as could be hashed, and what share of its capacity `/introspect` is asked. */
const STORM = 10;
const SHARE = 0.5;

/** For the capacity, in a closed loop. */
const CLOSED_CONNECTIONS = 64;

/** An open loop is one only as long as arrivals find a connection: with 64, answers after 4 ms would hold it back. */
const INTROSPECT_CONNECTIONS = 1024;

/** Enough for all logins that are let in and for those just being turned away: too few would hold the storm back. */
const STORM_CONNECTIONS = 128;

/** Some more than hash at once, so that the next one is there when a place comes free. */
const HASHING_CONNECTIONS = 8;

/** Distinct tokens that `/introspect` is asked about. */
const TOKENS = 5000;

const SLICE_MS = 250;

/** Arrivals are by chance, but the same chance for every run. */
const SEED = 1_000;

/**
 * The service has one core for its answers and its hashes, so that logins can starve `/introspect`; the load and PostgreSQL
 * have the other. Logins are held against hashing alone on the same core while `/introspect` is asked as much there: on an
 * otherwise idle core argon2 would also have what those answers cost. That figure is reported too.
 */
export async function storm({ quick, log }) {
  const rounds = quick ? 1 : 5;
  const durationMs = quick ? 400 : 6000;
  const world = await openWorldOfLogins(quick ? 5000 : 100_000);
  const stops = [() => world.close()];
  try {
    const gatehouse = await startGatehouse(world);
    stops.push(() => gatehouse.stop());
    const argon2 = await startArgon2(world);
    stops.push(() => argon2.stop());
    const loads = await prepareLoads(world, gatehouse, argon2, quick ? 300 : 3000);
    log(`${loads.introspectsPerSecond} introspections/s; ${loads.loginsPerSecond} logins/s in the storm`);

    const figures = [];
    for (let round = 0; round <= rounds; round += 1) {
      const measured = await measureRound(loads, round, durationMs);
      // The first storm on a server is not counted: in it code gets compiled.
      if (round === 0) continue;
      figures.push(measured);
      log(JSON.stringify(measured));
    }
    const { introspectsPerSecond, loginsPerSecond, argon2AlonePerSecond } = loads;
    return {
      introspectsPerSecond,
      loginsPerSecond,
      argon2AlonePerSecond,
      median: medians(figures),
      rounds: figures,
      timeline: await drawTimeline(loads, quick ? 300 : 5000),
    };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** Finds out what the servers can do, and describes the loads accordingly. */
async function prepareLoads(world, gatehouse, argon2, capacityMs) {
  const { seen: introspections } = await prepareTraffic(world, TOKENS);
  const nextLogins = createLogins();
  const closed = { connections: CLOSED_CONNECTIONS, durationMs: capacityMs, requests: introspections };
  await measure(gatehouse, closed);
  await measure(gatehouse, {
    connections: 4,
    durationMs: capacityMs,
    requests: nextLogins(2000),
    once: true,
  });
  const { requestsPerSecond: capacity } = await measure(gatehouse, closed);
  const hashing = { connections: HASHING_CONNECTIONS, requests: [VERIFY] };
  const { requestsPerSecond: hashes } = await measure(argon2, { ...hashing, durationMs: capacityMs });
  const introspectsPerSecond = Math.round(SHARE * capacity);
  const loginsPerSecond = Math.round(STORM * hashes);
  return {
    introspectsPerSecond,
    loginsPerSecond,
    argon2AlonePerSecond: hashes,
    putIntrospections: (round, durationMs) =>
      putLoad({
        port: gatehouse.port,
        connections: INTROSPECT_CONNECTIONS,
        durationMs,
        ratePerSecond: introspectsPerSecond,
        seed: SEED + round,
        requests: introspections,
        sliceMs: SLICE_MS,
      }),
    putStorm: (round, durationMs) =>
      putLoad({
        port: gatehouse.port,
        connections: STORM_CONNECTIONS,
        durationMs,
        ratePerSecond: loginsPerSecond,
        seed: SEED + SEED + round,
        requests: nextLogins(Math.ceil((1.2 * loginsPerSecond * durationMs) / 1000)),
        once: true,
        sliceMs: SLICE_MS,
      }),
    putHashing: (durationMs) => putLoad({ port: argon2.port, ...hashing, durationMs }),
  };
}

async function measureRound({ putIntrospections, putStorm, putHashing }, round, durationMs) {
  const calm = await putIntrospections(round, durationMs);
  const [, hashing] = await Promise.all([putIntrospections(round, durationMs), putHashing(durationMs)]);
  const [stormy, logins] = await Promise.all([
    putIntrospections(round, durationMs),
    putStorm(round, durationMs),
  ]);
  const figures = { calm: figuresOf(calm), stormy: figuresOf(stormy) };
  const loginsPerSecond = countOf(logins, 200) / (logins.tookMs / 1000);
  const hashesPerSecond = countOf(hashing, 200) / (hashing.tookMs / 1000);
  return {
    ...figures,
    p99Ratio: figures.stormy.p99 / figures.calm.p99,
    loginsPerSecond,
    hashesPerSecond,
    loginsRatio: loginsPerSecond / hashesPerSecond,
    loginP50: logins.answers[200]?.p50,
    loginMax: logins.answers[200]?.max,
    refusalP50: logins.answers[503]?.p50,
    refusalP99: logins.answers[503]?.p99,
    refusalMax: logins.answers[503]?.max,
    loginAnswers: {
      ...Object.fromEntries(Object.entries(logins.answers).map(([status, { count }]) => [status, count])),
      failed: logins.failed,
      dropped: logins.dropped,
    },
  };
}

/** Of the answers that were due: 200. */
function figuresOf({ answers, failed, dropped }) {
  const { p50, p99, max } = answers[200];
  const wrong = Object.entries(answers).filter(([status]) => status !== '200');
  return { p50, p99, max, errors: failed + dropped + wrong.reduce((sum, [, { count }]) => sum + count, 0) };
}

function countOf({ answers }, status) {
  return answers[status]?.count ?? 0;
}

function medians(rounds) {
  const of = (pick) => median(rounds.map(pick));
  const both = (pick) => ({
    p50: of((r) => pick(r).p50),
    p99: of((r) => pick(r).p99),
    max: of((r) => pick(r).max),
  });
  return {
    calm: both((r) => r.calm),
    stormy: both((r) => r.stormy),
    errors: rounds.reduce((sum, { calm, stormy }) => sum + calm.errors + stormy.errors, 0),
    p99Ratio: of((r) => r.p99Ratio),
    loginsPerSecond: of((r) => r.loginsPerSecond),
    hashesPerSecond: of((r) => r.hashesPerSecond),
    loginsRatio: of((r) => r.loginsRatio),
    refusalP99: of((r) => r.refusalP99 ?? NaN),
    refusalMax: Math.max(...rounds.map((r) => r.refusalMax ?? NaN)),
  };
}

/** `/introspect` before, during and after a storm, by slices; for a chart. */
async function drawTimeline({ putIntrospections, putStorm }, thirdMs) {
  const introspections = putIntrospections(0, 3 * thirdMs);
  await new Promise((resolve) => setTimeout(resolve, thirdMs));
  const [{ slices }] = await Promise.all([introspections, putStorm(0, thirdMs)]);
  return {
    stormFromMs: thirdMs,
    stormToMs: 2 * thirdMs,
    slices: slices.map(({ fromMs, answers }) => ({ fromMs, p50: answers[200]?.p50, p99: answers[200]?.p99 })),
  };
}
