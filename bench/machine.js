// The machine beneath a measurement: which core runs what, what a process has used of it, and what it is.
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
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

/** CPU time in microseconds (all threads, user and system) and resident bytes, of all these processes together. */
export async function usageOf(pids) {
  const all = Object.values(await pidusage(pids));
  return {
    cpuUs: 1000 * all.reduce((sum, { ctime }) => sum + ctime, 0),
    residentBytes: all.reduce((sum, { memory }) => sum + memory, 0),
  };
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
