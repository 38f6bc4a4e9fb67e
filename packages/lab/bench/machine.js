// The machine beneath a measurement: which core runs what, what a process has used of it, and what it is.
import { execFile, execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pidusage from 'pidusage';

/** Servers under test on the first core; the load generator, PostgreSQL and everything else on the second. */
export const SERVER_CORE = 0;
const OTHER_CORE = 1;

export const isPinned = cpus().length > 1 && hasTaskset();

function hasTaskset() {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Moves this process, and so whatever it starts from now on, off the core of the servers. */
export function leaveServerCore() {
  if (isPinned)
    execFileSync('taskset', ['-cp', String(OTHER_CORE), String(process.pid)], { stdio: 'ignore' });
}

/** A command line that runs `command` on the given cores; null for all of them. */
export function onCores(cores, command) {
  return isPinned ? ['taskset', '-c', cores ?? `0-${cpus().length - 1}`, ...command] : command;
}

/** What a script beside this file finds, as JSON, on the core of the servers, which are to have nothing to do meanwhile. */
export async function runAlone(file, ...args) {
  const [program, ...rest] = onCores(String(SERVER_CORE), [
    process.execPath,
    fileURLToPath(new URL(file, import.meta.url)),
    ...args.map(String),
  ]);
  const { stdout } = await promisify(execFile)(program, rest);
  return JSON.parse(stdout);
}

/**
 * CPU time in microseconds (all threads, user and system) and memory, of all these processes together and of those
 * that they have started, which hash passwords.
 *
 * @returns {Promise<{cpuUs, residentBytes, onceBytes}>} `residentBytes`: added up over the processes; `onceBytes`: with the
 *   pages of files, such as the text of Node, counted once and not for each process
 */
export async function usageOf(pids) {
  const children = await Promise.all(pids.map((pid) => childrenOf(pid)));
  const every = [...new Set([...pids, ...children.flat()])];
  const all = Object.values(await pidusage(every));
  const residentBytes = all.reduce((sum, { memory }) => sum + memory, 0);
  return {
    cpuUs: 1000 * all.reduce((sum, { ctime }) => sum + ctime, 0),
    residentBytes,
    onceBytes: residentBytes - (await repeatedBytesOf(every)),
  };
}

/** What is mapped from files in all but the largest of these processes, which all run the same program; 0 without /proc. */
async function repeatedBytesOf(pids) {
  const mapped = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
      return 1024 * Number(/^RssFile:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    }),
  );
  return mapped.reduce((sum, bytes) => sum + bytes, 0) - Math.max(0, ...mapped);
}

/** The processes that this one has started and that still run. @param {number} pid @returns {Promise<number[]>} */
export async function childrenOf(pid) {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return all.filter(([, parent]) => parent === pid).map(([child]) => child);
}

/** The process that has started all others of a PostgreSQL on this machine; null where there is no /proc to ask about it. */
export async function findPostmaster(pool) {
  if (process.platform !== 'linux') return null;
  const { rows } = await pool.query('SELECT pg_backend_pid() AS pid');
  const { stdout } = await promisify(execFile)('ps', ['-o', 'ppid=', '-p', String(rows[0].pid)]);
  return Number(stdout);
}

/**
 * CPU time in microseconds that a PostgreSQL has used, those of its processes that have ended included; by the kernel's
 * ticks of 10 ms. NaN where its first process is not known.
 */
export async function cpuUsOfPostgres(postmaster) {
  if (postmaster === null) return NaN;
  const [own, ended] = await ticksOf(postmaster);
  const living = await Promise.all(
    (await childrenOf(postmaster)).map((pid) => ticksOf(pid).catch(() => [0])),
  );
  return 10_000 * living.reduce((sum, [ticks]) => sum + ticks, own + ended);
}

/** [its own, those of its children that have ended] (proc(5): utime, stime, cutime, cstime). */
async function ticksOf(pid) {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1');
  // The second field is a name in parentheses that may hold anything.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return [fields[11] + fields[12], fields[13] + fields[14]];
}

export function describeMachine() {
  const all = cpus();
  return {
    cpu: `${all.length} × ${all[0]?.model.trim()}`,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    node: process.version,
    pinned: isPinned,
  };
}
