/** Counts what a replica refuses, and says in the log when that cannot be written. */
import type { Logger } from 'pino';

import type { Config } from '../config/config.js';
import type { Database } from '../database/prisma.js';
import { createRefusals, startWritingRefusals, type Refusals } from '../domain/events/refusals.js';

/** @returns null where nobody counts; and what stops it */
export function startCounting(
  database: Database,
  { workers }: Pick<Config, 'workers'>,
  logger: Logger,
): { refusals: Refusals | null; stop: () => Promise<void> } {
  const refusals = createRefusals(database, { processes: workers });
  if (refusals === null) return { refusals, stop: () => Promise.resolve() };
  const stop = startWritingRefusals(refusals, (error) => {
    logger.warn({ err: error }, 'refused requests cannot be written as events, will be tried again');
  });
  return { refusals, stop };
}
