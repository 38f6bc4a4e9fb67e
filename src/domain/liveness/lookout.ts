/** The lookout: hears soon where the address of the database leads, also while all other connections live on. */
import type { Database } from '../../database/prisma.js';
import { repeat } from '../scheduling/repeat.js';
import { told } from '../reports/told.js';

const INTERVAL_MS = 1000;

/**
 * Asks each second.
 *
 * @param fresh opens a connection for each question: what that tells, the fence takes note of before the question is sent
 * @returns stops it, once the question under way is answered
 */
export function startLookout(fresh: Database): () => Promise<void> {
  async function lookOnce(): Promise<void> {
    try {
      const now = await look(fresh);
      told.look.tell({ isUp: true, clockOffsetSeconds: Date.now() / 1000 - now });
    } catch {
      // Where no connection can be had, or none that may answer, the requests say so.
      told.look.tell({ isUp: false });
    }
  }

  return repeat(lookOnce, () => INTERVAL_MS);
}

/** @returns the primary's time, in seconds since 1970 */
export async function look(fresh: Database): Promise<number> {
  // Without FROM there is always one row.
  const [row] = (await fresh.query({ now: 'float8' })`
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now`) as [{ now: number }];
  return row.now;
}
