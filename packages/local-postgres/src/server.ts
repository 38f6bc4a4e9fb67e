// The PostgreSQL server on a cluster: finds, starts and stops it, whoever uses it.
import { open, readFile, readlink, realpath, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leftoversAt, releaseAddress, settingsFor, type Address } from './address.js';
import { hasCode } from './binaries.js';
import type { Cluster } from './cluster.js';
import { startProgram } from './launcher.js';

/** A server as its postmaster.pid describes it. */
export interface Postmaster {
  pid: number;
  address: Address;
  /** Whether it takes connections already. */
  isReady: boolean;
}

const LOG_LIMIT_BYTES = 4 * 1024 * 1024;
const STOP_DEADLINE_MS = 30_000;
/** Exit status by which flock says that somebody else holds the lock. */
const LOCKED = 75;

/** The server that runs on the cluster, or undefined: a postmaster.pid may be left from before a power cut. */
export async function findPostmaster(cluster: Pick<Cluster, 'directory'>): Promise<Postmaster | undefined> {
  const text = await readFile(pidFileOf(cluster.directory), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  // A file that is being written: look again soon.
  if (!Number.isInteger(pid) || pid <= 0) return { pid: 0, address: { port: 0 }, isReady: false };
  if (!isAlive(pid) || !(await isPostmaster(pid, cluster.directory))) return undefined;
  const [port, directory = ''] = lines.slice(3);
  const address = directory === '' ? { port: Number(port) } : { directory };
  return { pid, address, isReady: lines[7]?.trim() === 'ready' };
}

function pidFileOf(directory: string): string {
  return join(directory, 'postmaster.pid');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

async function isPostmaster(pid: number, directory: string): Promise<boolean> {
  // Only Linux tells this without another program; elsewhere process numbers seldom come back so soon.
  if (process.platform !== 'linux') return true;
  const workingDirectory = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  if (workingDirectory !== undefined) return workingDirectory === (await realpath(directory));
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes('postgres');
}

/** `exited` carries PostgreSQL's own reason; `locked` that a server runs which is not ours to see, or just ends. */
export type StartOutcome = { is: 'ready' } | { is: 'locked' } | { is: 'exited'; reason: string };

/**
 * Starts a server, where none is found, and waits until it takes connections, recovery after a crash included. Aborted, it
 * stops what it has started and throws.
 */
export async function startPostmaster(
  cluster: Cluster,
  address: Address,
  signal?: AbortSignal,
): Promise<StartOutcome> {
  const { directory, binaries, launcher } = cluster;
  const settings = {
    ...settingsFor(address),
    // Statements that fail are the service's to report; the log tells of the server itself.
    log_min_messages: 'log',
    log_checkpoints: 'off',
    TimeZone: 'UTC',
    log_timezone: 'UTC',
    ...cluster.settings,
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const log = await openLog(`${directory}.log`);
  let status: number | undefined;
  let pid: number | undefined;
  try {
    const child = startProgram(
      launcher,
      lockFirst(directory, address),
      binaries.postgres,
      ['-D', directory, ...options],
      log.fd,
    );
    pid = child.pid;
    child.on('error', () => (status = -1));
    child.on('exit', (code) => (status = code ?? -1));
  } finally {
    await log.close();
  }
  for (;;) {
    const running = await findPostmaster(cluster);
    // Before it has written its file, nobody could find and stop it.
    if (signal?.aborted === true && running?.pid === pid) {
      await stopPostmaster(cluster);
      signal.throwIfAborted();
    }
    if (running?.isReady === true) return { is: 'ready' };
    if (status === LOCKED) return { is: 'locked' };
    if (status !== undefined) return { is: 'exited', reason: await readLastWords(`${directory}.log`) };
    await sleep(10);
  }
}

/**
 * PostgreSQL keeps two servers off one cluster by process number and shared memory, which two containers on one volume
 * do not share. A file lock they do share: the server inherits it and holds it until its last process is gone.
 * Under the lock a postmaster.pid is stale, and goes: in a restarted container its number may belong to somebody else
 * by now, whom PostgreSQL would take for a server. So it is with the lock file beside a socket.
 */
function lockFirst(directory: string, address: Address): string[] {
  if (process.platform !== 'linux') return [];
  const lock = ['flock', '--nonblock', '--no-fork', `--conflict-exit-code=${LOCKED}`, `${directory}.lock`];
  const stale = [pidFileOf(directory), ...leftoversAt(address)];
  const removeThenRun = 'while [ "$1" != -- ]; do rm -f "$1" || exit; shift; done; shift; exec "$@"';
  return [...lock, 'sh', '-c', removeThenRun, 'sh', ...stale, '--'];
}

async function openLog(path: string) {
  const size = await stat(path).then(
    (file) => file.size,
    () => 0,
  );
  if (size > LOG_LIMIT_BYTES) await rename(path, `${path}.old`);
  return open(path, 'a', 0o600);
}

async function readLastWords(path: string): Promise<string> {
  const log = await readFile(path, 'utf8');
  const lines = log
    .split('\n')
    .filter((line) => /FATAL|PANIC|setpriv:|flock:|error while loading/.test(line));
  return lines.at(-1)?.replace(/^.*?(FATAL|PANIC):\s*/, '') ?? `see ${path}`;
}

/**
 * Stops a server and waits for its end: clients are disconnected, what they committed is on disk.
 *
 * @returns false where it has not ended within the time that it is given
 */
export async function stopPostmaster(cluster: Cluster): Promise<boolean> {
  const postmaster = await findPostmaster(cluster);
  if (postmaster === undefined || postmaster.pid === 0) return true;
  process.kill(postmaster.pid, 'SIGINT');
  const deadline = Date.now() + STOP_DEADLINE_MS;
  // Its file is the last thing that goes. The process itself may stay as a zombie when nobody awaits it.
  const isGone = async () => (await findPostmaster(cluster))?.pid !== postmaster.pid;
  while (!(await isGone()) && Date.now() < deadline) await sleep(10);
  await releaseAddress(cluster, postmaster.address);
  return await isGone();
}
