/** Starts the service: environment, ground, replicas; and stops it in the reverse order. */
import { once } from 'node:events';
import type { Logger } from 'pino';

import { readConfig, type Config } from './config.js';
import { enterEmbedded } from './database/embedded.js';
import { migrate } from './database/migrate.js';
import { openDatabase } from './database/prisma.js';
import { createDemo } from './demo.js';
import { createPasswordHasher } from './domain/passwords/hasher.js';
import { explainCrashes, explainFailure, loadDotEnv, readSecrets } from './environment.js';
import { createLogger } from './http/log.js';
import { createReplica, SIGNALS, stopAll, type Ground, type Signal, type Stop } from './replica.js';
import { startWorkers } from './workers.js';

const ECHO_MS = 1000;

async function main(): Promise<void> {
  const told = nextSignal();
  loadDotEnv(process.env);
  const config = readConfig(process.env);
  const logger = createLogger(config.logLevel, config.workers);
  for (const warning of config.warnings) logger.warn(warning);
  const service = config.workers === 1 ? createReplica(logger) : startWorkers(config.workers, logger, told);
  let signal: Signal = 'SIGINT';
  const stops: Stop[] = [];
  try {
    const ground = await prepare(config, logger, stops);
    const demo = config.databaseUrl === null ? await makeDemo(ground) : null;
    for (const address of await service.serve(ground)) logger.info(`listening on ${address}`);
    if (demo !== null) show(demo, logger);
    signal = await told;
    logger.info({ signal }, 'leaving');
  } finally {
    await stopAll([...stops, () => service.leave(signal)], logger);
  }
}

/** Makes what exists once, whoever serves from it, and notes in `stops` what is to be left. */
async function prepare(config: Config, logger: Logger, stops: Stop[]): Promise<Ground> {
  const databaseUrl = config.databaseUrl ?? (await startEmbedded(config, stops));
  const applied = await migrate(databaseUrl);
  if (applied.length > 0) logger.info({ migrations: applied }, 'migrated');
  return { config, databaseUrl, secrets: await readSecrets(config) };
}

async function startEmbedded(config: Config, stops: Stop[]): Promise<string> {
  const embedded = await enterEmbedded(config.dataDir, 'service');
  stops.push(() => embedded.leave());
  return embedded.url;
}

type Demo = Awaited<ReturnType<typeof createDemo>>;

async function makeDemo({ config, databaseUrl }: Ground): Promise<Demo> {
  const database = openDatabase(databaseUrl, { connections: 1 });
  const hasher = createPasswordHasher();
  try {
    return await createDemo(database, hasher, config);
  } finally {
    await hasher.close();
    await database.close();
  }
}

function show(demo: NonNullable<Demo>, logger: Logger): void {
  logger.info(`made a user and a client to try out: see ${demo.file}`);
  if (process.stdout.isTTY) process.stdout.write(`\n${demo.text}\n`);
}

async function nextSignal(): Promise<Signal> {
  const stop = new AbortController();
  const { signal } = stop;
  const heard = await Promise.race(
    SIGNALS.map(async (name) => (await once(process, name, { signal }), name)),
  );
  ignoreEcho();
  stop.abort();
  return heard;
}

/** A terminal and npm both tell of one Ctrl-C: what follows at once is the same again. A later one ends us where we stand. */
function ignoreEcho(): void {
  const ignore = () => undefined;
  for (const name of SIGNALS) process.on(name, ignore);
  setTimeout(() => {
    for (const name of SIGNALS) process.off(name, ignore);
  }, ECHO_MS).unref();
}

explainCrashes();
main().catch((error: unknown) => {
  process.stderr.write(`${explainFailure(error)}\n`);
  process.exitCode = 1;
});
