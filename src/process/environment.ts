/** What the two programs, service and command line, take from where they run: `.env`, and the secrets. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ConfigError, type Config } from '../config/config.js';
import { keepSecret } from '../database/embedded.js';
import { StartError } from '../database/start-error.js';
import { parseDotEnv } from '../config/dotenv.js';

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

async function keepAuthSecret(file: string): Promise<string> {
  const secret = await keepSecret(file);
  if (Buffer.byteLength(secret) >= 32) return secret;
  // A key sealed with what is left of it would be open to everybody.
  throw new StartError(
    `${file} is damaged: it holds less than 32 bytes. Restore it from a backup of DATA_DIR.`,
  );
}
