/** Says in the log that events are missing. */
import type { Logger } from 'pino';

import { LOSABLE_EVENTS, told } from '../domain/reports/told.js';
import { atMostEvery } from '../domain/scheduling/at-most.js';

/** Of many that are missing one line a minute tells, for each type. */
const QUIET_MS = 60_000;

/** @returns stops it */
export function logUnrecorded(logger: Logger): () => Promise<void> {
  const stops = LOSABLE_EVENTS.map((losable) => {
    const say = atMostEvery(QUIET_MS, (cause: unknown) => {
      logger.warn({ type: losable, err: cause }, 'events cannot be written and are lost');
    });
    return told.unrecorded.listen(({ type, cause }) => {
      if (type === losable) say(cause);
    });
  });
  return () => {
    for (const stop of stops) stop();
    return Promise.resolve();
  };
}
