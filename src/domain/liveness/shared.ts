/** Work that many ask for and that is done for all of them at once, and not too often. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Shares `work` among all who ask before it begins; it begins at most once in `everyMs`, and always after they asked.
 *
 * @throws what the work does, to each of them
 */
export function shareWork(everyMs: number, work: () => Promise<unknown>): () => Promise<void> {
  let next: Promise<void> | undefined;
  let beganAtMs = -Infinity;

  async function begin(): Promise<void> {
    await sleep(Math.max(0, beganAtMs + everyMs - performance.now()));
    next = undefined;
    beganAtMs = performance.now();
    await work();
  }

  return () => (next ??= begin());
}
