/** One replica of the service: database connections, domain and HTTP server, started in order and stopped in reverse. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';

import { buildApp } from '../app.js';
import type { Config } from '../config/config.js';
import { DatabaseUnavailable, openDatabase } from '../database/prisma.js';
import { createGatehouse } from '../domain/gatehouse.js';
import { startHousekeeping } from '../domain/housekeeping.js';
import { createPasswordHasher, defaultConcurrency } from '../domain/passwords/hasher.js';
import { createTokenCodec } from '../http/jwt.js';
import { explainListening } from '../http/port.js';
import { isFromKeyboard, type Signal } from './signals.js';

/** How long a replica that is told to go keeps answering, so that load balancers see `/ready` turn before it is gone. */
const LEAVING_MS = 1000;

/** Two for the statements of liveness, and two for keys and clients beside them. */
const READER_CONNECTIONS = 4;

/** Below the 2.5 s in which every answer comes, together with the statements before and after. */
const HASHING_WAIT_MS = 1000;

/** How long a database that has been migrated a moment ago, but now answers too late, is asked again. */
const START_PATIENCE_MS = 15_000;

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

export type Stop = () => Promise<void>;

export function createReplica(logger: Logger): Service {
  tuneHeap();
  const stops: Stop[] = [];
  let isLeaving = false;
  return {
    serve: (setup) => start(setup, logger, () => isLeaving, stops),
    leave: async (signal) => {
      isLeaving = true;
      if (!isFromKeyboard(signal)) await sleep(LEAVING_MS);
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

/** In the reverse order of the start; one that fails keeps none of the others running. */
export async function stopAll(stops: Stop[], logger: Logger): Promise<void> {
  for (const stop of stops.reverse()) {
    await stop().catch((error: unknown) => logger.error({ err: error }, 'did not stop cleanly'));
  }
}

/** Starts what a replica is made of, one after the other, and notes in `stops` how each is stopped. */
async function start(
  { config, databaseUrl, secrets }: SharedSetup,
  logger: Logger,
  isLeaving: () => boolean,
  stops: Stop[],
): Promise<string[]> {
  const database = openDatabase(databaseUrl);
  const reader = openDatabase(databaseUrl, { connections: READER_CONNECTIONS, readsOnly: true });
  stops.push(() => database.close());
  stops.push(() => reader.close());
  const hasher = createPasswordHasher({
    maxConcurrent: defaultConcurrency(config.workers),
    maxWaitMs: HASHING_WAIT_MS,
  });
  stops.push(() => hasher.close());
  const options = {
    database,
    reader,
    hasher,
    createCodec: createTokenCodec,
    rules: config,
    jwtAlgorithm: config.jwtAlgorithm,
    secrets,
  };
  const gatehouse = await patiently(() => createGatehouse(options));
  stops.push(
    startHousekeeping(
      database,
      (gone) => logger.debug(gone, 'pruned'),
      (error) => logger.warn({ err: error }, 'pruning failed, will be tried again'),
    ),
  );
  const app = await buildApp({ gatehouse, config, logger, isLeaving });
  stops.push(() => app.close());
  return await listen(app, config, logger);
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

/** Fastify logs each address by itself, in each process; said once for all of them, it is for others to say. */
async function listen(
  app: Awaited<ReturnType<typeof buildApp>>,
  { host, port }: Pick<Config, 'host' | 'port'>,
  logger: Logger,
): Promise<string[]> {
  const addresses: string[] = [];
  const { level } = logger;
  logger.level = 'silent';
  try {
    await app.listen({ host, port, listenTextResolver: (address) => String(addresses.push(address)) });
  } catch (error) {
    throw explainListening(error, port);
  } finally {
    logger.level = level;
  }
  return addresses;
}
