/** Starts the service: environment, database, app, listen; and stops it in the reverse order. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pino, { type Logger } from 'pino';

import { buildApp } from './app.js';
import { readConfig, type Config } from './config.js';
import { enterEmbedded } from './database/embedded.js';
import { migrate } from './database/migrate.js';
import { DatabaseUnavailable, openDatabase } from './database/prisma.js';
import { createDemo } from './demo.js';
import { createGatehouse } from './domain/gatehouse.js';
import { startHousekeeping } from './domain/housekeeping.js';
import { createPasswordHasher } from './domain/passwords.js';
import { explainCrashes, explainFailure, loadDotEnv, readSecrets } from './environment.js';
import { createTokenCodec } from './http/jwt.js';
import { loggerOptions } from './http/log.js';

/** How long a replica that is told to go keeps answering, so that load balancers see `/ready` turn before it is gone. */
const LEAVING_MS = 1000;

/** As many as liveness has statements under way. */
const READER_CONNECTIONS = 4;

/** Below the 2.5 s in which every answer comes, together with the statements before and after. */
const HASHING_WAIT_MS = 1000;

/** How long a database that has been migrated a moment ago, but now answers too late, is asked again. */
const START_PATIENCE_MS = 15_000;

async function main(): Promise<void> {
  const told = nextSignal();
  loadDotEnv();
  const config = readConfig(process.env);
  const logger = pino(loggerOptions(config.logLevel));
  for (const warning of config.warnings) logger.warn(warning);
  const leaving = { isLeaving: false };
  const stops: Stop[] = [];
  try {
    await start(config, logger, () => leaving.isLeaving, stops);
    const signal = await told;
    leaving.isLeaving = true;
    logger.info({ signal }, 'leaving');
    if (signal === 'SIGTERM') await sleep(LEAVING_MS);
  } finally {
    await stopAll(stops, logger);
  }
}

type Stop = () => Promise<void>;

/** Starts what the service is made of, one after the other, and notes in `stops` how each is stopped. */
async function start(config: Config, logger: Logger, isLeaving: () => boolean, stops: Stop[]): Promise<void> {
  const url = config.databaseUrl ?? (await startEmbedded(config, stops));
  const applied = await migrate(url);
  if (applied.length > 0) logger.info({ migrations: applied }, 'migrated');
  const secrets = await readSecrets(config);
  const database = openDatabase(url);
  const reader = openDatabase(url, { connections: READER_CONNECTIONS, readsOnly: true });
  stops.push(() => database.close());
  stops.push(() => reader.close());
  const hasher = createPasswordHasher({ maxWaitMs: HASHING_WAIT_MS });
  const { jwtAlgorithm } = config;
  const options = {
    database,
    reader,
    hasher,
    createCodec: createTokenCodec,
    rules: config,
    jwtAlgorithm,
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
  const demo = config.databaseUrl === null ? await createDemo(database, hasher, config) : null;
  const app = await buildApp({ gatehouse, config, logger, isLeaving });
  stops.push(() => app.close());
  const { host, port } = config;
  await app.listen({ host, port, listenTextResolver: (address) => `listening on ${address}` });
  if (demo === null) return;
  logger.info(`made a user and a client to try out: see ${demo.file}`);
  if (process.stdout.isTTY) process.stdout.write(`\n${demo.text}\n`);
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

/** In the reverse order of the start; one that fails keeps none of the others running. */
async function stopAll(stops: Stop[], logger: Logger): Promise<void> {
  for (const stop of stops.reverse()) {
    await stop().catch((error: unknown) => logger.error({ err: error }, 'did not stop cleanly'));
  }
}

async function startEmbedded(config: Config, stops: Stop[]): Promise<string> {
  const embedded = await enterEmbedded(config.dataDir, 'service');
  stops.push(() => embedded.leave());
  return embedded.url;
}

async function nextSignal(): Promise<NodeJS.Signals> {
  const stop = new AbortController();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const { signal } = stop;
  const heard = await Promise.race(
    signals.map(async (name) => (await once(process, name, { signal }), name)),
  );
  stop.abort();
  return heard;
}

explainCrashes();
main().catch((error: unknown) => {
  process.stderr.write(`${explainFailure(error)}\n`);
  process.exitCode = 1;
});
