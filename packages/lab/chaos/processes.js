// @ts-check
// Signals to a process and all that it has started, at one go.
import { childrenOf } from '../bench/machine.js';

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
