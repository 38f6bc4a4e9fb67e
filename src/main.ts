/** Starts the service: environment, setup, replicas; and stops it in the reverse order. */
import { resolve } from 'node:path';
import type { Logger } from 'pino';

import { readConfig, type Config } from './config/config.js';
import type { Address } from './config/variables.js';
import { enterEmbedded, hasDatabase, isServed } from './database/embedded.js';
import { migrate } from './database/migrate.js';
import { openDatabase } from './database/prisma.js';
import { StartError } from './database/start-error.js';
import { addressDemo, createDemo } from './process/demo.js';
import { isLoopback } from './domain/networks.js';
import { createPasswordHasher } from './domain/passwords/hasher.js';
import { findUsersBeyondTokens } from './domain/users/users.js';
import { loadDotEnv, readSecrets } from './process/environment.js';
import { explainCrashes, writeExplanation } from './process/explain.js';
import { createLogger } from './http/log/log.js';
import {
  ADMIN_SETTING,
  explainListening,
  METRICS_SETTING,
  tryPort,
  urlOf,
  type Setting,
} from './http/server/port.js';
import { loadReplica } from './process/load-replica.js';
import type { SharedSetup } from './process/replica.js';
import { hearSignals } from './process/signals.js';
import { stopAll, type Stop } from './process/stops.js';
import { startWorkers } from './process/workers.js';

/** Nobody waits for us yet, and users may be many. */
const LOOK_DEADLINE_MS = 30_000;

async function main(): Promise<void> {
  const { told } = hearSignals();
  loadDotEnv(process.env);
  const config = readConfig(process.env);
  const logger = createLogger(config.logLevel, config.workers);
  for (const warning of config.warnings) logger.warn(warning);
  await refuseTakenPort(config);
  await refuseTakenFurtherPort(config.metricsAddress, METRICS_SETTING);
  await refuseTakenFurtherPort(config.adminAddress, ADMIN_SETTING);
  const service = config.workers === 1 ? loadReplica(logger) : startWorkers(config.workers, logger, told);
  const interruption = new AbortController();
  void told.then(() => interruption.abort());
  const stops: Stop[] = [];
  try {
    const setup = await prepare(config, logger, stops, interruption.signal);
    const isFirst = config.databaseUrl === null && (await makeDemo(setup));
    interruption.signal.throwIfAborted();
    const addresses = await service.serve(setup);
    for (const address of addresses) logger.info(`listening on ${address}`);
    if (config.adminAddress !== null) logger.info(`/admin at ${urlOf(config.adminAddress)} alone`);
    const address = addresses.find((each) => each.startsWith('http://127.0.0.1:')) ?? addresses[0];
    if (address !== undefined) {
      showPages(config, address, logger);
      if (config.databaseUrl === null) await showDemo(config, address, isFirst, logger);
    }
    logger.info({ signal: await told }, 'leaving');
  } catch (error) {
    // What breaks because we were told to go is no failure.
    if (!interruption.signal.aborted) throw error;
  } finally {
    const signal = interruption.signal.aborted ? await told : 'SIGINT';
    await stopAll([...stops, () => service.leave(signal)], logger);
    if (interruption.signal.aborted) logger.info('everything has stopped');
  }
}

/** Before anything is made: whoever starts by mistake, or twice, finds nothing changed. */
async function refuseTakenPort(config: Config): Promise<void> {
  try {
    await tryPort(config);
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (!isTaken || config.databaseUrl !== null || !(await isServed(config.dataDir)))
      throw explainListening(error, config.port);
    throw new StartError(
      `Port ${config.port} is taken, and another Gatehouse already serves from ${resolve(config.dataDir)}: most likely it is the one that listens there. Stop it, or set both PORT and DATA_DIR to start a second one.`,
      { cause: error },
    );
  }
}

async function refuseTakenFurtherPort(address: Address | null, setting: Setting): Promise<void> {
  if (address === null) return;
  await tryPort(address).catch((error: unknown) => {
    throw explainListening(error, address.port, setting);
  });
}

/** Makes what exists once, whoever serves from it, and notes in `stops` what is to be left. */
async function prepare(
  config: Config,
  logger: Logger,
  stops: Stop[],
  signal: AbortSignal,
): Promise<SharedSetup> {
  const databaseUrl = config.databaseUrl ?? (await startEmbedded(config, logger, stops, signal));
  signal.throwIfAborted();
  const applied = await migrate(databaseUrl);
  if (applied.length > 0) logger.info({ migrations: applied }, 'applied migrations');
  const setup = { config, databaseUrl, secrets: await readSecrets(config) };
  await nameUsersBeyondTokens(setup, logger);
  return setup;
}

/** What they log in to is refused everywhere, so nobody should have to find out why. */
async function nameUsersBeyondTokens({ config, databaseUrl }: SharedSetup, logger: Logger): Promise<void> {
  const database = openDatabase(databaseUrl, { connections: 1, deadlineMs: LOOK_DEADLINE_MS });
  try {
    for (const { id } of await findUsersBeyondTokens(database, config)) {
      logger.warn(
        { user: id },
        'tokens of this user are too long to be taken anywhere: shorten the scope, AUDIENCE or ISSUER',
      );
    }
  } catch (error) {
    // Nobody's login waits for this look.
    logger.warn({ err: error }, 'could not look for users whose tokens are too long');
  } finally {
    await database.close();
  }
}

async function startEmbedded(
  config: Config,
  logger: Logger,
  stops: Stop[],
  signal: AbortSignal,
): Promise<string> {
  const place = resolve(config.dataDir);
  logger.info(`${(await hasDatabase(place)) ? 'opening the' : 'making a new'} database in ${place}`);
  const embedded = await enterEmbedded(config.dataDir, 'service', signal);
  stops.push(async () => {
    if (await embedded.leave()) logger.info('PostgreSQL has stopped');
  });
  return embedded.url;
}

async function makeDemo({ config, databaseUrl }: SharedSetup): Promise<boolean> {
  const database = openDatabase(databaseUrl, { connections: 1, events: config.events });
  const hasher = createPasswordHasher();
  try {
    return await createDemo(database, hasher, config.dataDir);
  } finally {
    await hasher.close();
    await database.close();
  }
}

/**
 * Pages count only for the host of the issuer, so that another address would answer 421. On this machine its own names count as well: a
 * gateway that has the issuer's address does not pass `/docs` on.
 */
function showPages({ accountPage, docs, issuer, host }: Config, address: string, logger: Logger): void {
  const isLocal = isLoopback(host) || isLoopback(new URL(issuer).hostname);
  if (accountPage) logger.info(`open ${issuer}/account to sign in and see sessions`);
  if (docs) logger.info(`open ${isLocal ? address : issuer}/docs to try the endpoints`);
}

/**
 * @param address where we listen
 * @param isFirst the demo was made by this start
 */
async function showDemo(
  { dataDir }: Config,
  address: string,
  isFirst: boolean,
  logger: Logger,
): Promise<void> {
  const demo = await addressDemo(dataDir, address);
  if (demo === null) return;
  logger.info(
    `the user demo and the client demo-service are for trying out; their secrets are in ${demo.file}`,
  );
  if (!isFirst || !process.stdout.isTTY) return;
  // One that is closed at this moment must not end us before PostgreSQL is told to stop.
  process.stdout.on('error', () => undefined).write(`\n${demo.text}\n`);
}

explainCrashes();
main().catch((error: unknown) => {
  process.stderr.write(writeExplanation(error));
  process.exitCode = 1;
});
