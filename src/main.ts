/** Starts the service: environment, database, app, listen; and stops it in the reverse order. */
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pino, { type Logger } from 'pino';

import { buildApp } from './app.js';
import { readConfig, type Config } from './config.js';
import { enterEmbedded, type EmbeddedDatabase } from './database/embedded.js';
import { migrate } from './database/migrate.js';
import { openDatabase } from './database/prisma.js';
import { keepSecret } from './database/secret-file.js';
import { createDemo } from './demo.js';
import { createGatehouse } from './domain/gatehouse.js';
import { startHousekeeping } from './domain/housekeeping.js';
import { createPasswordHasher } from './domain/passwords.js';
import { explainFailure, loadDotEnv } from './environment.js';
import { createTokenCodec } from './http/jwt.js';
import { loggerOptions } from './http/log.js';

/** How long a replica that is told to go keeps answering, so that load balancers see `/ready` turn before it is gone. */
const LEAVING_MS = 1000;

/** Below the 2.5 s in which every answer comes, together with the statements before and after. */
const HASHING_WAIT_MS = 1000;

async function main(): Promise<void> {
  loadDotEnv();
  const config = readConfig(process.env);
  const logger = pino(loggerOptions(config.logLevel));
  for (const warning of config.warnings) logger.warn(warning);
  const embedded = config.databaseUrl === null ? await enterEmbedded(config.dataDir, 'service') : null;
  try {
    await serve(config, logger, embedded);
  } finally {
    await embedded?.leave();
  }
}

async function serve(config: Config, logger: Logger, embedded: EmbeddedDatabase | null): Promise<void> {
  const url = embedded?.url ?? config.databaseUrl ?? '';
  const applied = await migrate(url);
  if (applied.length > 0) logger.info({ migrations: applied }, 'migrated');
  const secret = config.authSecret ?? (await keepSecret(join(config.dataDir, 'auth-secret')));
  const database = openDatabase(url);
  try {
    const hasher = createPasswordHasher({ maxWaitMs: HASHING_WAIT_MS });
    const gatehouse = await createGatehouse({
      database,
      hasher,
      createCodec: createTokenCodec,
      rules: config,
      jwtAlgorithm: config.jwtAlgorithm,
      secrets: config.authSecretPrevious === null ? [secret] : [secret, config.authSecretPrevious],
    });
    let isLeaving = false;
    const app = await buildApp({ gatehouse, config, logger, isLeaving: () => isLeaving });
    const stopHousekeeping = startHousekeeping(
      database,
      (gone) => logger.debug(gone, 'pruned'),
      (error) => logger.warn({ err: error }, 'pruning failed, will be tried again'),
    );
    try {
      await app.listen({
        host: config.host,
        port: config.port,
        listenTextResolver: (address) => `listening on ${address}`,
      });
      if (embedded !== null)
        await offerDemo(logger, () =>
          createDemo(database, hasher, { dataDir: config.dataDir, url: config.issuer }),
        );
      const signal = await nextSignal();
      isLeaving = true;
      logger.info({ signal }, 'leaving');
      if (signal === 'SIGTERM') await sleep(LEAVING_MS);
    } finally {
      await app.close();
      await stopHousekeeping();
    }
  } finally {
    await database.close();
  }
}

async function offerDemo(
  logger: Logger,
  create: () => Promise<{ file: string; text: string } | null>,
): Promise<void> {
  const demo = await create();
  if (demo === null) return;
  logger.info(`made a user and a client to try out: see ${demo.file}`);
  if (process.stdout.isTTY) process.stdout.write(`\n${demo.text}\n`);
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

main().catch((error: unknown) => {
  process.stderr.write(`${explainFailure(error)}\n`);
  process.exitCode = 1;
});
