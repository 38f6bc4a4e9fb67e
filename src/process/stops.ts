/** Stops what a start has begun. */
import type { Logger } from 'pino';

export type Stop = () => Promise<void>;

/** In the reverse order of the start; one that fails keeps none of the others running. */
export async function stopAll(stops: Stop[], logger: Logger): Promise<void> {
  for (const stop of stops.reverse()) {
    await stop().catch((error: unknown) => logger.error({ err: error }, 'did not stop cleanly'));
  }
}
