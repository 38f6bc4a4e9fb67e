// Where a PostgreSQL of ours listens: on a Unix socket that only its owner reaches, or on a port of 127.0.0.1.
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chown, lstat, mkdir, mkdtemp, readFile, rmdir } from 'node:fs/promises';
import { createServer, type ListenOptions } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from './binaries.js';
import type { Cluster } from './cluster.js';
import { LocalPostgresRefusal } from './refusal.js';

/** The directory of the socket; or the port, on Windows, in tests, and of a server that an older Gatehouse started. */
export type Address = { directory: string } | { port: number };

/** Nothing listens on this port: it is a part of the socket's name. */
const SOCKET_PORT = 5432;
const SOCKET = `.s.PGSQL.${SOCKET_PORT}`;

/** What `sun_path` of a socket's address takes, without the zero at its end. */
const LONGEST_PATH_BYTES = { linux: 107, elsewhere: 103 };

/** Windows has no sockets that our driver knows. */
export function usesSockets(platform: NodeJS.Platform = process.platform): boolean {
  return platform !== 'win32';
}

/**
 * Where a server on this cluster will listen.
 *
 * A socket goes into the cluster's directory. Only the account that runs PostgreSQL may enter it, the command line finds
 * it from any process, and no cleaner of temporary files gets there. Where the path is too long, or the file system takes
 * no sockets, a directory of the same kind is made for it among the temporary files. PostgreSQL itself keeps what lies
 * there young, and postmaster.pid says where it is.
 *
 * @throws {LocalPostgresRefusal} when there is no such place
 */
export async function chooseAddress(
  cluster: Cluster,
  platform: NodeJS.Platform = process.platform,
): Promise<Address> {
  if (!usesSockets(platform)) return { port: await choosePort(cluster) };
  if (await takesSockets(cluster.directory, platform)) return { directory: cluster.directory };
  const last = await findLastDirectory(cluster);
  if (last !== undefined && (await takesSockets(last, platform))) return { directory: last };
  for (const parent of new Set([tmpdir(), '/tmp'])) {
    const directory = await makeSocketDirectory(cluster, parent);
    if (directory === undefined) continue;
    if (await takesSockets(directory, platform)) return { directory };
    await rmdir(directory).catch(() => undefined);
  }
  throw new LocalPostgresRefusal(
    `There is no place for the socket of the embedded PostgreSQL: the path of ${cluster.directory} is too long or its file system takes no sockets, and so it is with ${tmpdir()}. Set DATA_DIR or TMPDIR to a shorter path on a local disk, or set DATABASE_URL.`,
  );
}

async function takesSockets(directory: string, platform: NodeJS.Platform): Promise<boolean> {
  const longest = platform === 'linux' ? LONGEST_PATH_BYTES.linux : LONGEST_PATH_BYTES.elsewhere;
  // The list of directories is a line of postmaster.pid.
  if (Buffer.byteLength(join(directory, SOCKET)) > longest || directory.includes('\n')) return false;
  return await canListen({ path: join(directory, `.s.${randomBytes(3).toString('hex')}`) });
}

/** Where a server listened that was killed, if that is still its owner's: those who know its address find the next one. */
async function findLastDirectory(cluster: Cluster): Promise<string | undefined> {
  const file = await readFile(join(cluster.directory, 'postmaster.pid'), 'utf8').catch(() => '');
  const directory = file.split('\n')[4] ?? '';
  return directory !== '' && (await isPrivate(cluster, directory)) ? directory : undefined;
}

async function isPrivate({ launcher }: Cluster, directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  const uid = launcher.owner?.uid ?? process.getuid?.();
  return found?.isDirectory() === true && found.uid === uid && (found.mode & 0o077) === 0;
}

async function makeSocketDirectory(cluster: Cluster, parent: string): Promise<string | undefined> {
  const directory = await mkdtemp(join(parent, 'gatehouse-')).catch(() => undefined);
  if (directory !== undefined) await giveToOwner(cluster, directory);
  return directory;
}

async function giveToOwner({ launcher: { owner } }: Cluster, directory: string): Promise<void> {
  if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
}

/**
 * Makes sure before each start that the socket's directory is there and nobody else's: one among the temporary files may
 * be gone since the last start.
 */
export async function secureAddress(cluster: Cluster, address: Address): Promise<void> {
  if (!isApart(cluster, address)) return;
  const { directory } = address;
  try {
    await mkdir(directory, { mode: 0o700 });
    await giveToOwner(cluster, directory);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  if (await isPrivate(cluster, directory)) return;
  throw new LocalPostgresRefusal(
    `${directory}, for the socket of the embedded PostgreSQL, is not its owner's alone. Remove it and start again.`,
  );
}

/** Removes the socket's directory, unless it is the cluster's own: the server that used it has stopped. */
export async function releaseAddress(cluster: Cluster, address: Address): Promise<void> {
  // One that is not empty is another server's by now.
  if (isApart(cluster, address)) await rmdir(address.directory).catch(() => undefined);
}

function isApart(cluster: Cluster, address: Address): address is { directory: string } {
  return 'directory' in address && address.directory !== cluster.directory;
}

export function isSameAddress(one: Address, other: Address): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** PostgreSQL's settings for it. */
export function settingsFor(address: Address): Record<string, string> {
  if ('port' in address) {
    return { listen_addresses: '127.0.0.1', unix_socket_directories: '', port: String(address.port) };
  }
  return {
    listen_addresses: '',
    // A list, in which quotes keep a comma or a space from ending a name.
    unix_socket_directories: `"${address.directory.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    port: String(SOCKET_PORT),
  };
}

/** What a server that was killed leaves at its address, and what would keep the next one from starting there. */
export function leftoversAt(address: Address): string[] {
  if ('port' in address) return [];
  return [join(address.directory, SOCKET), join(address.directory, `${SOCKET}.lock`)];
}

/** As host and port of a connection. */
export function endpointOf(address: Address): { host: string; port: number } {
  return 'port' in address
    ? { host: '127.0.0.1', port: address.port }
    : { host: address.directory, port: SOCKET_PORT };
}

/** The part of a URL that says where, as PostgreSQL's clients know it: a directory as a percent-encoded host. */
export function authorityOf(address: Address): string {
  const { host, port } = endpointOf(address);
  return `${encodeURIComponent(host)}:${port}`;
}

/** The port of the last start if it is free, so that URLs outlive a crash; else any free one. */
export async function choosePort({ directory }: Cluster): Promise<number> {
  const options = await readFile(join(directory, 'postmaster.opts'), 'utf8').catch(() => '');
  const last = Number(/"port=(\d+)"/.exec(options)?.[1] ?? '0');
  if (last !== 0 && (await isFree(last))) return last;
  for (let attempt = 0; attempt < 50; attempt++) {
    // Below the range from which systems take the ports of outgoing connections.
    const port = randomInt(20_000, 30_000);
    if (await isFree(port)) return port;
  }
  throw new LocalPostgresRefusal(
    'No free port between 20000 and 30000 on 127.0.0.1 for the embedded PostgreSQL. Free one, or set DATABASE_URL.',
  );
}

function isFree(port: number): Promise<boolean> {
  return canListen({ port, host: '127.0.0.1' });
}

async function canListen(where: ListenOptions): Promise<boolean> {
  const server = createServer();
  try {
    const listening = once(server, 'listening');
    server.listen({ ...where, exclusive: true });
    await listening;
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
