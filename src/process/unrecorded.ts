/** Says in the log that events of failed logins are missing. */
import type { Logger } from 'pino';

import { told } from '../domain/reports/told.js';

/** Of many that are missing one line a minute tells. */
const QUIET_MS = 60_000;

/** @returns stops it */
export function logUnrecorded(logger: Logger): () => Promise<void> {
  let isTold = false;
  const stop = told.unrecorded.listen(({ cause }) => {
    if (isTold) return;
    isTold = true;
    setTimeout(() => (isTold = false), QUIET_MS).unref();
    logger.warn({ err: cause }, 'events of failed logins cannot be written');
  });
  return () => {
    stop();
    return Promise.resolve();
  };
}
