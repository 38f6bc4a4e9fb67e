// @ts-check
// Signals to a process and all that it has started, at one go.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Sends `signal` to a process and to all of its children, none of which can get away meanwhile: the parent stands still
 * while they are counted, so that it starts no other and learns of no end.
 *
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
export async function signalFamily(pid, signal) {
  tell(pid, 'SIGSTOP');
  for (const child of await childrenOf(pid)) tell(child, signal);
  tell(pid, signal);
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 * @returns {boolean} false when there is no such process any more
 */
export function tell(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH') return false;
    throw error;
  }
}

/** @param {number} parent */
async function childrenOf(parent) {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []));
}
