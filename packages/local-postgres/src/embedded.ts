// The embedded PostgreSQL under DATA_DIR: the first process that needs it starts it, and the last one to leave stops it.
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { authorityOf } from './address.js';
import { openDataDirectory } from './data-directory.js';
import { createClient, type ClientClass, type Place, type Role } from './client.js';
import { closeLockConnection, openLockConnection, SERVICE, type LockConnection } from './lock-connection.js';
import { findPostmaster } from './server.js';

export interface EmbeddedDatabase {
  /** Stays the same until `leave`, also when PostgreSQL dies and is started again. */
  url: string;
  /**
   * Steps out and stops PostgreSQL if nobody else is inside. Close your own connections first.
   *
   * @returns whether PostgreSQL was stopped
   */
  leave(): Promise<boolean>;
}

const LONGEST_BACKOFF_MS = 2_000;

/**
 * Enters the database under `dataDir`, which is made and started as needed.
 * One service and any number of visitors (commands) may be inside. While a service is inside, a PostgreSQL that dies is
 * started again at the same address.
 *
 * @throws {LocalPostgresRefusal} or the reason of an aborted signal; then nothing is left running
 */
export async function enterEmbedded(
  dataDir: string,
  role: Role,
  Client: ClientClass,
  signal?: AbortSignal,
): Promise<EmbeddedDatabase> {
  const place = { ...(await openDataDirectory(dataDir)), Client };
  const connection = await openLockConnection(place, role, { signal });
  const url = `postgresql://gatehouse:${place.password}@${authorityOf(connection.address)}/gatehouse`;
  const leave =
    role === 'service' ? keepLockConnection(place, connection) : () => closeLockConnection(place, connection);
  let left: Promise<boolean> | undefined;
  return { url, leave: () => (left ??= leave()) };
}

/** Whether a service is inside the database under `dataDir`. Makes nothing, and takes for no what it cannot learn. */
export async function isServed(dataDir: string, Client: ClientClass): Promise<boolean> {
  let client;
  try {
    const path = await realpath(dataDir);
    const running = await findPostmaster({ directory: join(path, 'postgres') });
    if (running?.isReady !== true) return false;
    const password = (await readFile(join(path, 'postgres.password'), 'utf8')).trim();
    client = createClient({ password, Client }, 'visitor', running.address);
    await client.connect();
    const { rows } = await client.query(
      `SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND (classid::bigint << 32 | objid::bigint) = $1`,
      [SERVICE],
    );
    return rows.length > 0;
  } catch {
    return false;
  } finally {
    await client?.end().catch(() => undefined);
  }
}

/** Opens another connection, with its locks, whenever it ends, until the returned function closes it. */
function keepLockConnection(place: Place, first: LockConnection): () => Promise<boolean> {
  const leaving = new AbortController();
  let connection: LockConnection | undefined;
  let recovery: Promise<void> | undefined;

  const hold = (opened: LockConnection): void => {
    connection = opened;
    opened.client.once('end', () => {
      connection = undefined;
      if (!leaving.signal.aborted) recovery = recover();
    });
  };
  const recover = async (): Promise<void> => {
    let backoffMs = 50;
    while (!leaving.signal.aborted) {
      const opened = await openLockConnection(place, 'service', {
        only: first.address,
        signal: leaving.signal,
      }).catch(() => undefined);
      if (opened !== undefined) {
        hold(opened);
        return;
      }
      await sleep(backoffMs);
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    }
  };

  hold(first);
  return async () => {
    leaving.abort();
    await recovery;
    return connection !== undefined && (await closeLockConnection(place, connection));
  };
}
