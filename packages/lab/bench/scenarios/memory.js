// Whether memory stays flat: ten minutes of as many introspections as one process answers, with some logins and refreshes.
import { setTimeout as sleep } from 'node:timers/promises';

import { addClient } from '../../../../dist/domain/clients.js';
import { median } from '../numbers.js';
import { putLoad } from '../load.js';
import { createLogins, openWorldOfLogins } from '../logins.js';
import { usageOf } from '../machine.js';
import { startGatehouse } from '../servers.js';
import { mintTokens, pickSessions } from '../world.js';
import { chainOfRefreshes } from './endpoints.js';
import { introspectText, mix } from './introspect.js';

const TOKENS = 10_000;

/** One client alone may ask 20,000 times a second, which is less than a process answers. */
const CLIENTS = 8;

/** Loads come in stretches, between which new tokens are made; two take turns, so that the server never rests. */
const LANES = 2;
const CONNECTIONS_PER_LANE = 32;
const STRETCH_MS = 10_000;

/** As many requests as the stretch before needed, and some more: they are sent once. */
const SPARE = 1.3;

const LOGINS_PER_SECOND = 2;
const REFRESHES_PER_SECOND = 20;
const FEW_CONNECTIONS = 4;

/** Tokens near their end would be answered with successors: none gets as old. */
const TOKENS_FOR_MS = 240_000;

const SAMPLE_MS = 1000;

/**
 * {maxMb, maxOnceMb, firstMb, lastMb, slopeMbPerMinute, cores, requestsPerSecond, errors, errorsBy: {good, dropped, failed, refused: {[status]: count}},
 * samples: [{atMs, mb}]}; first and last: the median of a minute; cores: how much of its one core the server used; dropped: no connection
 * was free until the stretch ended; failed: no answer; refused: any answer but 200.
 */
export async function memory({ quick, log }) {
  const durationMs = quick ? 2500 : 600_000;
  const stretchMs = quick ? 625 : STRETCH_MS;
  const world = await openWorldOfLogins(quick ? 10_000 : 100_000);
  try {
    const clients = [];
    for (let n = 0; n < CLIENTS; n += 1)
      clients.push(await addClient(world.database, { id: `client-${n}`, permissions: ['introspect'] }));
    const server = await startGatehouse(world);
    try {
      log(`memory: ${durationMs / 1000} s of load`);
      const traffic = createTraffic(world, clients);
      const lanes = Array.from({ length: LANES }, () => createLane(server, traffic, stretchMs));
      const startFew = createFew(world, server, stretchMs);
      // Not counted: code gets compiled and memories fill.
      for (const nextStretch of lanes) await nextStretch();
      const result = await sampleUnder([...lanes, startFew], server, durationMs, stretchMs);
      log(`memory: at most ${Math.round(result.maxMb)} MB, ${JSON.stringify(result.errorsBy)}`);
      return result;
    } finally {
      await server.stop();
    }
  } finally {
    await world.close();
  }
}

async function sampleUnder(loads, server, durationMs, stretchMs) {
  const startedAt = performance.now();
  const before = await usageOf(server.pids);
  const stopping = new AbortController();
  const sampling = sampleResident(server, stopping.signal);
  const total = { good: 0, dropped: 0, failed: 0, refused: {} };
  await Promise.all(
    loads.map(async (nextStretch, n) => {
      await sleep((n * stretchMs) / loads.length);
      while (performance.now() - startedAt < durationMs) {
        const { answers, failed, dropped } = await nextStretch();
        for (const [status, { count }] of Object.entries(answers)) {
          if (status === '200') total.good += count;
          else total.refused[status] = (total.refused[status] ?? 0) + count;
        }
        total.failed += failed;
        total.dropped += dropped;
      }
    }),
  );
  const tookMs = performance.now() - startedAt;
  stopping.abort();
  const { cpuUs } = await usageOf(server.pids);
  return {
    durationMs: tookMs,
    cores: (cpuUs - before.cpuUs) / (1000 * tookMs),
    ...summary(await sampling),
    requestsPerSecond: (1000 * total.good) / tookMs,
    errors:
      Object.values(total.refused).reduce((sum, count) => sum + count, 0) + total.failed + total.dropped,
    errorsBy: total,
  };
}

async function sampleResident({ pids }, signal) {
  const startedAt = performance.now();
  const samples = [];
  while (!signal.aborted) {
    const { residentBytes, onceBytes } = await usageOf(pids);
    samples.push({
      atMs: Math.round(performance.now() - startedAt),
      mb: residentBytes / 2 ** 20,
      onceMb: onceBytes / 2 ** 20,
    });
    await sleep(SAMPLE_MS, undefined, { signal }).catch(() => undefined);
  }
  return samples;
}

/** Every call puts a stretch of introspections on the server. In the first one after new tokens none has been seen. */
function createLane({ port }, traffic, durationMs) {
  let current = null;
  let requests = [];
  return async () => {
    const latest = await traffic(durationMs);
    if (latest !== current) requests = [];
    current = latest;
    const once = requests.length > 0;
    const report = await putLoad({
      port,
      durationMs,
      connections: CONNECTIONS_PER_LANE,
      requests: once ? requests : current.seen,
      once,
    });
    requests = mix(current, SPARE * (report.answers[200]?.count ?? 0));
    return report;
  };
}

/** Every call puts a stretch of logins and refreshes on the server, so few that introspection has it for itself. */
function createFew(world, { port }, durationMs) {
  const nextLogins = createLogins();
  let stretch = 0;
  return async () => {
    stretch += 1;
    const few = { port, durationMs, connections: FEW_CONNECTIONS, seed: stretch };
    const refreshes = await chainOfRefreshes(world, FEW_CONNECTIONS, stretch);
    const [logins, refreshed] = await Promise.all([
      putLoad({ ...few, ratePerSecond: LOGINS_PER_SECOND, requests: nextLogins(100), once: true }),
      putLoad({ ...few, ratePerSecond: REFRESHES_PER_SECOND, ...refreshes }),
    ]);
    return addUp(logins, refreshed);
  };
}

function addUp(one, other) {
  const answers = { ...one.answers };
  for (const [status, { count }] of Object.entries(other.answers))
    answers[status] = { count: count + (answers[status]?.count ?? 0) };
  return { answers, failed: one.failed + other.failed, dropped: one.dropped + other.dropped };
}

/** What all lanes send: the same tokens until they are too old to last for another load. */
function createTraffic(world, clients) {
  let traffic = null;
  let expiresAt = 0;
  return (durationMs) => {
    if (performance.now() + durationMs > expiresAt) {
      traffic = prepareTraffic(world, clients);
      expiresAt = performance.now() + TOKENS_FOR_MS;
    }
    return traffic;
  };
}

async function prepareTraffic(world, clients) {
  const sessions = await pickSessions(world, TOKENS);
  const fresh = (count) =>
    mintTokens(world, sessions, count).map((token, n) => {
      const { id, secret } = clients[n % clients.length];
      return introspectText(id, secret, token);
    });
  return { seen: fresh(TOKENS), fresh };
}

/** The first and the last minute, or quarter of a short run; the slope by least squares over all samples. */
function summary(samples) {
  const endMs = samples.at(-1).atMs;
  const edgeMs = Math.min(60_000, endMs / 4);
  const medianOf = (isWithin) => median(samples.filter(({ atMs }) => isWithin(atMs)).map(({ mb }) => mb));
  return {
    maxMb: Math.max(...samples.map(({ mb }) => mb)),
    maxOnceMb: Math.max(...samples.map(({ onceMb }) => onceMb)),
    firstMb: medianOf((atMs) => atMs <= edgeMs),
    lastMb: medianOf((atMs) => atMs >= endMs - edgeMs),
    slopeMbPerMinute: 60_000 * slopeOf(samples),
    samples: samples.map(({ atMs, mb }) => ({ atMs, mb: Math.round(10 * mb) / 10 })),
  };
}

/** In MB per ms. */
function slopeOf(samples) {
  const mean = (pick) => samples.reduce((sum, sample) => sum + pick(sample), 0) / samples.length;
  const [meanAt, meanMb] = [mean(({ atMs }) => atMs), mean(({ mb }) => mb)];
  const covariance = mean(({ atMs, mb }) => (atMs - meanAt) * (mb - meanMb));
  return covariance / mean(({ atMs }) => (atMs - meanAt) ** 2);
}
