/** One replica of the service: database connections, domain and HTTP server, started in order and stopped in reverse. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';

import { buildApp } from '../app.js';
import type { Config } from '../config/config.js';
import { createFence, type Fence } from '../database/fence.js';
import { openDatabase } from '../database/prisma.js';
import { DatabaseUnavailable } from '../database/unavailable.js';
import { createGatehouse } from '../domain/gatehouse.js';
import { startHousekeeping } from '../domain/housekeeping.js';
import { startBeating } from '../domain/liveness/beat.js';
import { createPasswordHasher, defaultConcurrency } from '../domain/passwords/hasher.js';
import { createTokenCodec } from '../http/jwt.js';
import { listenOn } from '../http/server/listening.js';
import { ADMIN_SETTING } from '../http/server/port.js';
import type {
  createReplicaMetrics as CreateReplicaMetrics,
  ReplicaMetrics,
} from '../observability/replica-metrics.js';
import { openLookout } from './lookout.js';
import { serveMetrics } from './metrics.js';
import { startCounting } from './refusals.js';
import { isFromKeyboard, type Signal } from './signals.js';
import { stopAll, type Stop } from './stops.js';
import { logUnrecorded } from './unrecorded.js';
import { startTracing } from './traces.js';

/** How long a replica that is told to go keeps answering, so that load balancers see `/ready` turn before it is gone. */
const LEAVING_MS = 1000;

/** Two for the statements of liveness, and two for keys and clients beside them. */
const READER_CONNECTIONS = 4;

/** Below the 2.5 s in which every answer comes, together with the statements before and after. */
const HASHING_WAIT_MS = 1000;

/** How long a database that has been migrated a moment ago, but now answers too late, is asked again. */
const START_PATIENCE_MS = 15_000;

const UNFENCED =
  'PostgreSQL does not tell its system identifier and timeline here: a primary that was replaced is not recognized, and must ' +
  'be fenced (docs/failover.md)';

/** What exists once, however many processes serve from it. Plain data, which survives the way from one to another. */
export interface SharedSetup {
  config: Readonly<Config>;
  databaseUrl: string;
  secrets: [string, ...string[]];
}

/** What answers requests: a replica in this process, or several in processes of their own. */
export interface Service {
  /** Resolves to the addresses, once requests are answered there. */
  serve: (setup: SharedSetup) => Promise<string[]>;
  /** Finishes what is under way and lets go of everything, whatever has come of `serve`. */
  leave: (signal: Signal) => Promise<void>;
}

/** What another process brings that is one for all workers. */
export interface Shared {
  /** Tells a fence what the lookout hears. */
  listen: (fence: Fence) => void;
  /** Hands over the metrics of this process, where it has any. */
  measure: (metrics: ReplicaMetrics) => void;
}

/** @param shared for one of several; a replica that is alone has a lookout of its own, and serves its own metrics */
export function createReplica(logger: Logger, shared?: Shared): Service {
  tuneHeap();
  const stops: Stop[] = [];
  let isLeaving = false;
  let hasServed = false;
  return {
    serve: async (setup) => {
      const addresses = await start(setup, logger, { isLeaving: () => isLeaving, shared }, stops);
      hasServed = true;
      return addresses;
    },
    leave: async (signal) => {
      isLeaving = true;
      // Where nothing was answered, no load balancer looks.
      if (hasServed && !isFromKeyboard(signal)) await sleep(LEAVING_MS);
      await stopAll(stops, logger);
    },
  };
}

/**
 * V8 notices that many objects of a request outlive a collection, since every request waits for the database, and places
 * their like among the old ones from then on. There they keep whole requests that are long over until the next full
 * collection: a quarter of all CPU time went into that (packages/lab/bench/README.md).
 */
function tuneHeap(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
}

/** Starts what a replica is made of, one after the other, and notes in `stops` how each is stopped. */
async function start(
  setup: SharedSetup,
  logger: Logger,
  { isLeaving, shared }: { isLeaving: () => boolean; shared: Shared | undefined },
  stops: Stop[],
): Promise<string[]> {
  const { config, databaseUrl, secrets } = setup;
  const fence = createFence(() => logger.warn(UNFENCED));
  const { traceRequests, traceDatabase, traceHasher } = await startTracing(config, logger, stops);
  const database = openDatabase(databaseUrl, { fence, events: config.events });
  const reader = openDatabase(databaseUrl, { connections: READER_CONNECTIONS, readsOnly: true, fence });
  for (const each of [database, reader]) stops.push(() => each.close());
  stops.push(logUnrecorded(logger));
  const hasher = createPasswordHasher({
    maxConcurrent: defaultConcurrency(config.workers),
    maxWaitMs: HASHING_WAIT_MS,
  });
  stops.push(() => hasher.close());
  const options = {
    database: traceDatabase(database),
    reader,
    hasher: traceHasher(hasher),
    createCodec: createTokenCodec,
    rules: config,
    jwtAlgorithm: config.jwtAlgorithm,
    secrets,
  };
  const gatehouse = await patiently(() => createGatehouse(options));
  stops.push(
    await startBeating(database, config.replayWindowSeconds, (error) =>
      logger.warn({ err: error }, 'the beat cannot be written; while it stands still no refresh is theft'),
    ),
  );
  if (shared === undefined) stops.push(openLookout(databaseUrl, fence));
  else shared.listen(fence);
  stops.push(
    startHousekeeping(
      database,
      (gone) => logger.debug(gone, 'pruned'),
      (error) => logger.warn({ err: error }, 'pruning failed, will be tried again'),
      config.eventsRetentionSeconds,
    ),
  );
  const metrics = await measure(config, { hasher, pools: { work: database, liveness: reader } }, stops);
  const { refusals, stop } = startCounting(database, config, logger);
  stops.push(stop);
  const parts = { gatehouse, config, logger, isLeaving, meter: metrics?.meter, refusals, traceRequests };
  const { adminAddress } = config;
  const isAdminHere = config.admin && adminAddress === null;
  const app = await buildApp({ ...parts, doors: { public: true, operators: isAdminHere } });
  // Metrics are answered until the service has left.
  let stopMetrics: Stop = () => Promise.resolve();
  stops.push(() => stopMetrics());
  stops.push(() => app.close());
  const addresses = await listenOn(app, config, logger);
  if (adminAddress !== null) {
    const own = { ...parts, config: { ...config, ...adminAddress } };
    const adminApp = await buildApp({ ...own, doors: { public: false, operators: true } });
    stops.push(() => adminApp.close());
    await listenOn(adminApp, adminAddress, logger, ADMIN_SETTING);
  }
  if (metrics !== null) {
    if (shared === undefined) stopMetrics = await serveMetrics(setup, metrics, logger);
    else shared.measure(metrics);
  }
  return addresses;
}

/** Begins to measure where somebody wants to know: null where nobody does. */
async function measure(
  { metricsAddress }: Pick<Config, 'metricsAddress'>,
  sources: Parameters<typeof CreateReplicaMetrics>[0],
  stops: Stop[],
): Promise<ReplicaMetrics | null> {
  if (metricsAddress === null) return null;
  const { createReplicaMetrics } = await import('../observability/replica-metrics.js');
  const metrics = createReplicaMetrics(sources);
  stops.push(() => {
    metrics.stop();
    return Promise.resolve();
  });
  return metrics;
}

/** Several replicas that start on a busy machine may find the deadline of a statement short; nobody waits for us yet. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + START_PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || performance.now() > deadline) throw error;
    }
    await sleep(200);
  }
}
