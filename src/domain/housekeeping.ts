/** Forgets, now and then, what can no longer matter; off the request path, by one replica at a time. */
import type { Database } from '../database/prisma.js';
import { createEventPruning } from './events/kept.js';
import { pruneAttempts } from './guessing/attempts.js';
import { pruneKeys } from './keys/lifecycle.js';
import { pruneCodes } from './passwords/codes.js';
import { pruneDeletedUsers } from './operators/deletion.js';
import { repeat } from './scheduling/repeat.js';
import { told } from './reports/told.js';
import { prune } from './sessions/revocations.js';

const INTERVAL_MS = 60_000;

/**
 * @param onDone is told how many rows went
 * @param onError is told why a round failed; the next round comes all the same
 * @param eventsRetentionSeconds how long events are kept
 * @returns stops it, once the batch under way is done
 */
export function startHousekeeping(
  database: Database,
  onDone: (gone: { rows: number; attempts: number; events: number; keys: number }) => void,
  onError: (error: unknown) => void,
  eventsRetentionSeconds: number,
): () => Promise<void> {
  const pruneEvents = createEventPruning(database, eventsRetentionSeconds);

  async function tidy(signal: AbortSignal): Promise<void> {
    try {
      const deleted = await pruneDeletedUsers(database, signal);
      const codes = await pruneCodes(database, signal);
      const rows = deleted + codes + (await prune(database, { waitTurn: false, signal }));
      const attempts = await pruneAttempts(database, signal);
      const keys = await pruneKeys(database);
      const events = await pruneEvents(signal);
      onDone({ rows, attempts, events, keys });
      told.tidied.tell({ rows: rows + attempts + events + keys });
    } catch (error) {
      onError(error);
    }
  }

  // Replicas that were started together part company: each waits a little longer or shorter.
  return repeat(tidy, () => INTERVAL_MS * (0.75 + Math.random() / 2));
}
