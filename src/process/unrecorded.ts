/** Says in the log that events of failed logins are missing. */
import type { Logger } from 'pino';

import { told } from '../domain/reports/told.js';
import { atMostEvery } from '../domain/scheduling/at-most.js';

/** Of many that are missing one line a minute tells. */
const QUIET_MS = 60_000;

/** @returns stops it */
export function logUnrecorded(logger: Logger): () => Promise<void> {
  const stop = told.unrecorded.listen(
    atMostEvery(QUIET_MS, ({ cause }) => {
      logger.warn({ err: cause }, 'events of failed logins cannot be written');
    }),
  );
  return () => {
    stop();
    return Promise.resolve();
  };
}
