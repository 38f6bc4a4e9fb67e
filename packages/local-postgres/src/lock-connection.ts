// Who is inside the embedded PostgreSQL: one connection each, with locks that say who must not be disturbed.
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { hasCode } from './binaries.js';
import {
  chooseAddress,
  isSameAddress,
  releaseAddress,
  secureAddress,
  usesSockets,
  type Address,
} from './address.js';
import { createClient, type Place, type Role } from './client.js';
import { findPostmaster, startPostmaster, stopPostmaster } from './server.js';
import type { Cluster } from './cluster.js';
import { LocalPostgresRefusal } from './refusal.js';

/** A connection that holds our advisory locks: PostgreSQL takes them back however a process ends. */
export interface LockConnection {
  client: pg.Client;
  address: Address;
}

/** Shared by everybody inside, so that only the last one out gets it alone. */
const PRESENCE = 7_041_776_201;
/** Held alone, by the service. */
export const SERVICE = 7_041_776_202;

const ENTER_DEADLINE_MS = 60_000;
const MOST_FAILED_STARTS = 5;
/** A service that was killed a moment ago may still be seen inside. */
const SERVICE_PATIENCE_MS = 1_000;

export interface LockConnectionOptions {
  /** Only a server at this address is taken; the start waits until one at another has stopped. */
  only?: Address;
  /** Aborted, no connection is opened, and what was started for it is stopped. */
  signal?: AbortSignal | undefined;
}

/**
 * Starts PostgreSQL if need be, joins those inside and, as a service, makes sure to be the only one.
 * Throws LocalPostgresRefusal, or the signal's reason; then no PostgreSQL is left running that was started here for nobody.
 */
export async function openLockConnection(
  place: Place,
  role: Role,
  options: LockConnectionOptions = {},
): Promise<LockConnection> {
  const deadline = Date.now() + ENTER_DEADLINE_MS;
  let failedStarts = 0;
  let isOurStart = false;
  while (Date.now() < deadline && options.signal?.aborted !== true) {
    const running = await findPostmaster(place.cluster);
    if (running === undefined) {
      const outcome = await start(place, options, failedStarts);
      isOurStart = outcome === 'ready';
      if (outcome === 'exited') failedStarts += 1;
    } else if (running.isReady && isSameAddress(running.address, options.only ?? running.address)) {
      const connection = await join(place, role, running.address);
      if (connection === 'wrong password') return await refusePassword(place, isOurStart);
      if (connection !== undefined && !isOutdated(role, connection)) return connection;
      // The last one out stops it, and the next turn starts it anew, on a socket.
      if (connection !== undefined) await closeLockConnection(place, connection);
    }
    await sleep(10);
  }
  if (isOurStart) await abandon(place);
  options.signal?.throwIfAborted();
  throw new LocalPostgresRefusal(
    `The embedded PostgreSQL in ${place.path} does not answer; perhaps another container holds it. End what holds it, set another DATA_DIR, or set DATABASE_URL. Its log is ${place.cluster.directory}.log.`,
  );
}

/** Whether a service has joined a server on a port, which any local account reaches: an older Gatehouse has left it behind. */
function isOutdated(role: Role, { address }: LockConnection): boolean {
  return role === 'service' && 'port' in address && usesSockets();
}

/** Stops the server that was started here, unless somebody else is inside by now. */
async function abandon(place: Place): Promise<void> {
  const running = await findPostmaster(place.cluster);
  const connection = running?.isReady === true ? await join(place, 'visitor', running.address) : undefined;
  if (typeof connection === 'object') await closeLockConnection(place, connection);
  else await stopPostmaster(place.cluster);
}

async function start(
  { cluster }: Place,
  { only, signal }: LockConnectionOptions,
  failedStarts: number,
): Promise<'ready' | 'locked' | 'exited'> {
  const address = only ?? (await chooseAddress(cluster));
  await secureAddress(cluster, address);
  const outcome = await startPostmaster(cluster, address, signal);
  // Another start may have been faster: then the server that is ready is that one's, and our address is nobody's.
  const isOurs = outcome.is === 'ready' && (await isAt(cluster, address));
  if (!isOurs) await releaseAddress(cluster, address);
  if (outcome.is === 'exited' && failedStarts >= MOST_FAILED_STARTS) {
    throw new LocalPostgresRefusal(
      `The embedded PostgreSQL does not start: ${outcome.reason}. See ${cluster.directory}.log, set another DATA_DIR, or set DATABASE_URL.`,
    );
  }
  // The faster start, or the last process of a server that died, needs a moment.
  if (!isOurs) await sleep(50 * (failedStarts + 1));
  return outcome.is === 'ready' && !isOurs ? 'locked' : outcome.is;
}

async function isAt(cluster: Cluster, address: Address): Promise<boolean> {
  const running = await findPostmaster(cluster);
  return running === undefined || isSameAddress(running.address, address);
}

/** Connects and takes the locks; undefined when the server is just going or coming. */
async function join(
  place: Place,
  role: Role,
  address: Address,
): Promise<LockConnection | 'wrong password' | undefined> {
  const client = createClient(place, role, address);
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    return hasCode(error, '28P01') ? 'wrong password' : undefined;
  }
  try {
    // Waits while the last one out is stopping the server, which then ends this connection.
    await client.query('SELECT pg_advisory_lock_shared($1)', [PRESENCE]);
    if (role === 'service') await claimService(place, client);
    return { client, address };
  } catch (error) {
    await closeLockConnection(place, { client, address });
    if (error instanceof LocalPostgresRefusal) throw error;
    return undefined;
  }
}

async function refusePassword(place: Place, isOurStart: boolean): Promise<never> {
  // Nobody else got in either. One that we found running may have others inside, from before the file changed.
  if (isOurStart) await stopPostmaster(place.cluster);
  throw new LocalPostgresRefusal(
    `${place.path}/postgres.password does not open the embedded PostgreSQL. Restore that file, or set another DATA_DIR.`,
  );
}

async function claimService(place: Place, client: pg.Client): Promise<void> {
  const deadline = Date.now() + SERVICE_PATIENCE_MS;
  do {
    if (await tryLock(client, SERVICE)) return;
    await sleep(50);
  } while (Date.now() < deadline);
  throw new LocalPostgresRefusal(
    `Another Gatehouse already serves from ${place.path}. Set DATA_DIR to another directory, or DATABASE_URL to run several replicas on one PostgreSQL.`,
  );
}

/**
 * Gives back what we share before asking for it alone: were two leaving at once and asked first, neither would get it.
 * Whoever comes in meanwhile waits for the lock, loses the connection, and starts the server anew.
 *
 * @returns whether this stopped the server
 */
export async function closeLockConnection({ cluster }: Place, { client }: LockConnection): Promise<boolean> {
  try {
    await client.query('SELECT pg_advisory_unlock_all()');
    return (await tryLock(client, PRESENCE)) && (await stopPostmaster(cluster));
  } catch {
    // The connection is gone, and our locks with it.
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function tryLock(client: pg.Client, key: number): Promise<boolean> {
  const { rows } = await client.query<{ got: boolean }>('SELECT pg_try_advisory_lock($1) AS got', [key]);
  return rows[0]?.got === true;
}
