/** Of lines that say the same again and again, a few each second and the number of the others. */
import type { Logger } from 'pino';

const LINES_PER_SECOND = 10;
const SECOND_MS = 1000;

/**
 * A thousand refusals a second for one reason cost more to write down than to make, and bury all else in the log.
 *
 * @returns whether the line of a request that was refused for this reason is to be written; the others are counted, and
 * told of in one line when their second is over
 */
export function createThinning(logger: Logger): (reason: string) => boolean {
  const seconds = new Map<string, number>();

  function begin(reason: string): void {
    seconds.set(reason, 0);
    setTimeout(() => {
      const requests = (seconds.get(reason) ?? 0) - LINES_PER_SECOND;
      seconds.delete(reason);
      if (requests > 0) logger.info({ reason, requests }, 'more were answered for the same reason');
    }, SECOND_MS).unref();
  }

  return (reason) => {
    if (!seconds.has(reason)) begin(reason);
    const lines = (seconds.get(reason) ?? 0) + 1;
    seconds.set(reason, lines);
    return lines <= LINES_PER_SECOND;
  };
}
