/** What the two programs, service and command line, share about where they run and how they fail. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadEnvFile } from 'node:process';

import { ConfigError, type Config } from './config.js';
import { DatabaseUnavailable } from './database/prisma.js';
import { keepSecret } from './database/secret-file.js';
import { StartError } from './database/start-error.js';
import { WrongSecret } from './domain/gatehouse.js';

/** Takes up `.env` of the working directory; what is set already wins. */
export function loadDotEnv(): void {
  if (existsSync('.env')) loadEnvFile('.env');
}

/** AUTH_SECRET, for the embedded database made once under DATA_DIR; then AUTH_SECRET_PREVIOUS if there is one. */
export async function readSecrets(
  config: Pick<Config, 'authSecret' | 'authSecretPrevious' | 'dataDir'>,
): Promise<[string, ...string[]]> {
  const secret = config.authSecret ?? (await keepSecret(join(config.dataDir, 'auth-secret')));
  return config.authSecretPrevious === null ? [secret] : [secret, config.authSecretPrevious];
}

/** What is wrong and what to do next, in a line each; a stack only for what nobody foresaw. */
export function explainFailure(error: unknown): string {
  if (error instanceof ConfigError) {
    return [
      'gatehouse: the configuration is wrong, see .env.example:',
      ...error.problems.map((problem) => `  ${problem}`),
    ].join('\n');
  }
  if (error instanceof StartError) return `gatehouse: ${error.message}`;
  if (error instanceof WrongSecret) {
    return (
      'gatehouse: AUTH_SECRET does not open the signing keys in this database: set the secret that they were made with, ' +
      'or AUTH_SECRET_PREVIOUS to it and run `gatehouse keys reencrypt`'
    );
  }
  if (error instanceof DatabaseUnavailable)
    return `gatehouse: the database cannot be asked: ${error.message}`;
  const { code, syscall, port } = error as NodeJS.ErrnoException & { port?: number };
  if (syscall === 'listen' && code === 'EADDRINUSE')
    return `gatehouse: port ${port ?? ''} is taken: stop what listens there, or set PORT`;
  if (syscall === 'listen' && code === 'EACCES')
    return `gatehouse: port ${port ?? ''} is not ours to take: set PORT above 1023`;
  return `gatehouse: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
