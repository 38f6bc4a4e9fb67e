// The PostgreSQL server on a cluster: finds, starts and stops it, whoever uses it.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { open, readFile, readlink, realpath, rename, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from './postgres-binaries.js';
import type { Cluster } from './postgres-cluster.js';
import { startProgram } from './postgres-launcher.js';
import { StartError } from './start-error.js';

/** A server as its postmaster.pid describes it. */
export interface Postmaster {
  pid: number;
  port: number;
  /** Whether it takes connections already. */
  isReady: boolean;
}

const LOG_LIMIT_BYTES = 4 * 1024 * 1024;
const STOP_DEADLINE_MS = 30_000;
/** Exit status by which flock says that somebody else holds the lock. */
const LOCKED = 75;

/** The server that runs on the cluster, or undefined: a postmaster.pid may be left from before a power cut. */
export async function findPostmaster({ directory }: Cluster): Promise<Postmaster | undefined> {
  const text = await readFile(pidFileOf(directory), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  // A file that is being written: look again soon.
  if (!Number.isInteger(pid) || pid <= 0) return { pid: 0, port: 0, isReady: false };
  if (!isAlive(pid) || !(await isPostmaster(pid, directory))) return undefined;
  return { pid, port: Number(lines[3]), isReady: lines[7]?.trim() === 'ready' };
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

/** Starts a server, where none is found, and waits until it takes connections, recovery after a crash included. */
export async function startPostmaster(cluster: Cluster, port: number): Promise<StartOutcome> {
  const { directory, binaries, launcher } = cluster;
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
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
  try {
    const child = startProgram(
      launcher,
      lockFirst(directory),
      binaries.postgres,
      ['-D', directory, ...options],
      log.fd,
    );
    child.on('error', () => (status = -1));
    child.on('exit', (code) => (status = code ?? -1));
  } finally {
    await log.close();
  }
  while ((await findPostmaster(cluster))?.isReady !== true) {
    if (status === LOCKED) return { is: 'locked' };
    if (status !== undefined) return { is: 'exited', reason: await readLastWords(`${directory}.log`) };
    await sleep(10);
  }
  return { is: 'ready' };
}

/**
 * PostgreSQL keeps two servers off one cluster by process number and shared memory, which two containers on one volume
 * do not share. A file lock they do share: the server inherits it and holds it until its last process is gone.
 * Under the lock a postmaster.pid is stale, and goes: in a restarted container its number may belong to somebody else
 * by now, whom PostgreSQL would take for a server.
 */
function lockFirst(directory: string): string[] {
  if (process.platform !== 'linux') return [];
  const lock = ['flock', '--nonblock', '--no-fork', `--conflict-exit-code=${LOCKED}`, `${directory}.lock`];
  return [...lock, 'sh', '-c', 'rm -f "$0" && exec "$@"', pidFileOf(directory)];
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

/** Stops a server and waits for its end: clients are disconnected, what they committed is on disk. */
export async function stopPostmaster(cluster: Cluster): Promise<void> {
  const postmaster = await findPostmaster(cluster);
  if (postmaster === undefined || postmaster.pid === 0) return;
  process.kill(postmaster.pid, 'SIGINT');
  const deadline = Date.now() + STOP_DEADLINE_MS;
  // Its file is the last thing that goes. The process itself may stay as a zombie when nobody awaits it.
  while ((await findPostmaster(cluster))?.pid === postmaster.pid && Date.now() < deadline) await sleep(10);
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
  throw new StartError(
    'No free port between 20000 and 30000 on 127.0.0.1 for the embedded PostgreSQL. Free one, or set DATABASE_URL.',
  );
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    const listening = once(server, 'listening');
    server.listen(port, '127.0.0.1');
    await listening;
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
