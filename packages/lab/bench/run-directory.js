// A temporary directory for all databases of a run, and its end when a run is broken off: nothing of it stays behind.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { childrenOf } from './machine.js';

/** Longest time that a PostgreSQL is given to stop. */
const PATIENCE_MS = 10_000;

/**
 * From now on temporary directories are made below one of this run, which goes with the process, broken off or not.
 *
 * @param {() => Promise<unknown>=} beforeBreakingOff ends what its processes alone do not end
 */
export function enterRunDirectory(beforeBreakingOff) {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  process.env.TMPDIR = directory;
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => void breakOff(directory, signal, beforeBreakingOff));
}

async function breakOff(directory, signal, beforeBreakingOff) {
  await Promise.race([beforeBreakingOff?.(), sleep(PATIENCE_MS)]).catch(() => undefined);
  for (const pid of await childrenOf(process.pid)) tell(pid, 'SIGKILL');
  // In one go from here: whoever keeps a database alive in this process would start it again.
  const postmasters = findPostmasters(directory);
  for (const pid of postmasters) tell(pid, 'SIGINT');
  const giveUpAt = Date.now() + PATIENCE_MS;
  while (postmasters.some((pid) => tell(pid, 0)) && Date.now() < giveUpAt) waitMs(50);
  process.exit(128 + constants.signals[signal]);
}

/** PostgreSQL leaves the group of whoever starts it, and writes its id where its data is. */
function findPostmasters(directory) {
  return readdirSync(directory, { recursive: true })
    .filter((path) => path.endsWith('postmaster.pid'))
    .map((path) => Number(readFileSync(join(directory, path), 'latin1').split('\n')[0]));
}

/** Whether there was such a process. */
function tell(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

function waitMs(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
