// Asks again where a busy machine took longer than the deadlines: for calls that must succeed at some time.
import { setTimeout as sleep } from 'node:timers/promises';

import { DatabaseUnavailable } from '../../src/database/unavailable.js';
import { AuthError } from '../../src/domain/errors.js';

const PAUSE_MS = 200;
const START_PATIENCE_MS = 60_000;

/** Of a process of its own, or injected. */
type Told = { status: number } | { statusCode: number };

/** Asks again after a 503, as it says: other tests may take the machine from a service for longer than its deadlines. */
export async function retryOn503<Some extends Told>(asking: () => Promise<Some>): Promise<Some> {
  for (;;) {
    const answer = await asking();
    if (('status' in answer ? answer.status : answer.statusCode) !== 503) return answer;
    await sleep(PAUSE_MS);
  }
}

/** The same for what is put together from the database, as the service does when it starts. */
export async function retryStart<Some>(starting: () => Promise<Some>): Promise<Some> {
  const endsAtMs = performance.now() + START_PATIENCE_MS;
  for (;;) {
    try {
      return await starting();
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || performance.now() > endsAtMs) throw error;
    }
    await sleep(PAUSE_MS);
  }
}

/** The same for a verb of the domain that says that it cannot know now. */
export async function retryUnavailable<Some>(asking: () => Promise<Some>): Promise<Some> {
  for (;;) {
    try {
      return await asking();
    } catch (error) {
      if (!(error instanceof AuthError && error.code === 'temporarily_unavailable')) throw error;
    }
    await sleep(PAUSE_MS);
  }
}
