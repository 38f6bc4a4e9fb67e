/** What the two programs, service and command line, share about where they run and how they fail. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ConfigError, type Config } from '../config/config.js';
import { DatabaseUnavailable } from '../database/prisma.js';
import { keepSecret } from '../database/embedded.js';
import { StartError } from '../database/start-error.js';
import { WrongSecret } from '../domain/errors.js';
import { describeFailure, writeFailure } from '../domain/failures.js';
import { parseDotEnv } from '../config/dotenv.js';

/** What another process of ours failed of, explained by itself. */
export class Explained extends Error {
  override name = 'Explained';
}

/**
 * Takes `.env` of the working directory into an environment; what is set there already wins.
 *
 * @throws {ConfigError} when there is one that cannot be read, or not in one way only
 */
export function loadDotEnv(environment: Record<string, string | undefined>): void {
  const bytes = readDotEnv();
  if (bytes === undefined) return;
  for (const [name, value] of Object.entries(parseDotEnv(bytes))) environment[name] ??= value;
}

function readDotEnv(): Uint8Array | undefined {
  try {
    return readFileSync('.env');
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new ConfigError([
      `.env cannot be read (${code}): make it a file that this user may read, or take it away`,
    ]);
  }
}

/** AUTH_SECRET, for the embedded database made once under DATA_DIR; then AUTH_SECRET_PREVIOUS if there is one. */
export async function readSecrets(
  config: Pick<Config, 'authSecret' | 'authSecretPrevious' | 'dataDir'>,
): Promise<[string, ...string[]]> {
  const secret = config.authSecret ?? (await keepAuthSecret(join(config.dataDir, 'auth-secret')));
  return config.authSecretPrevious === null ? [secret] : [secret, config.authSecretPrevious];
}

/** What is wrong and what to do next, in a line each; places in the code, and no words, for what nobody foresaw. */
export function explainFailure(error: unknown): string {
  if (error instanceof ConfigError) {
    return [
      'gatehouse: the configuration is wrong, see .env.example:',
      ...error.problems.map((problem) => `  ${problem}`),
    ].join('\n');
  }
  if (error instanceof Explained) return error.message;
  if (error instanceof StartError) return `gatehouse: ${error.message}`;
  if (error instanceof WrongSecret) {
    return (
      'gatehouse: AUTH_SECRET does not open the signing keys in this database: set the secret that they were made with, ' +
      'or AUTH_SECRET_PREVIOUS to it and run `gatehouse keys reencrypt`'
    );
  }
  if (error instanceof DatabaseUnavailable)
    return `gatehouse: the database cannot be asked: ${error.message}`;
  if (error === null || typeof error !== 'object')
    return `gatehouse: ${writeFailure(describeFailure(error))}`;
  const { code, syscall, port } = error as NodeJS.ErrnoException & { port?: number };
  // To a worker its primary says `bind`.
  const isListening = syscall === 'listen' || syscall === 'bind';
  if (isListening && code === 'EADDRINUSE')
    return `gatehouse: port ${port ?? ''} is taken: stop what listens there, or set PORT`;
  if (isListening && code === 'EACCES')
    return `gatehouse: port ${port ?? ''} is not ours to take: set PORT above 1023`;
  if (code === 'EADDRNOTAVAIL' || syscall === 'getaddrinfo')
    return `gatehouse: HOST is not an address of this machine (${code ?? ''}): set it to one, such as 127.0.0.1 or 0.0.0.0`;
  return `gatehouse: ${writeFailure(describeFailure(error))}`;
}

/** Ends the process as Node does on an error that nobody caught, which Node would print with all that the error holds. */
export function explainCrashes(): void {
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${explainFailure(error)}\n`, () => process.exit(1));
  });
}

async function keepAuthSecret(file: string): Promise<string> {
  const secret = await keepSecret(file);
  if (Buffer.byteLength(secret) >= 32) return secret;
  // A key sealed with what is left of it would be open to everybody.
  throw new StartError(
    `${file} is damaged: it holds less than 32 bytes. Restore it from a backup of DATA_DIR.`,
  );
}
