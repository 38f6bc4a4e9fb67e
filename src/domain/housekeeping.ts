/** Forgets, now and then, what can no longer matter; off the request path, by one replica at a time. */
import type { Database } from '../database/prisma.js';
import { pruneAttempts } from './guessing/attempts.js';
import { pruneKeys } from './keys/lifecycle.js';
import { prune } from './sessions/revocations.js';

const INTERVAL_MS = 60_000;

/**
 * @param onDone is told how many rows went
 * @param onError is told why a round failed; the next round comes all the same
 * @returns stops it, once the batch under way is done
 */
export function startHousekeeping(
  database: Database,
  onDone: (gone: { rows: number; attempts: number; keys: number }) => void,
  onError: (error: unknown) => void,
): () => Promise<void> {
  const stopping = new AbortController();
  let timer: NodeJS.Timeout;
  let round = Promise.resolve();

  async function tidy(): Promise<void> {
    try {
      const rows = await prune(database, { waitTurn: false, signal: stopping.signal });
      onDone({
        rows,
        attempts: await pruneAttempts(database, stopping.signal),
        keys: await pruneKeys(database),
      });
    } catch (error) {
      onError(error);
    }
  }

  function schedule(): void {
    if (stopping.signal.aborted) return;
    // Replicas that were started together part company: each waits a little longer or shorter.
    timer = setTimeout(
      () => {
        round = tidy().finally(schedule);
      },
      INTERVAL_MS * (0.75 + Math.random() / 2),
    );
    timer.unref();
  }

  schedule();
  return async () => {
    stopping.abort();
    clearTimeout(timer);
    await round;
  };
}
