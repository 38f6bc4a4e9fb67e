/** How hard a password is to guess, estimated in a thread of its own: that takes long, and others are not to wait for it. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

import type { Estimate, EstimateTask } from '../../background/estimator.js';
import { AuthError, Reason } from '../errors.js';

/** The compiled file, also for tests, which run the sources: Node does not run TypeScript. */
const THREAD = createRequire(import.meta.url).resolve('#background/estimator');

let turn: Promise<unknown> = Promise.resolve();

/**
 * Estimates one password after the other. A process that only verifies passwords never loads the dictionaries (about
 * 150 ms and 25 MB), and one that sets them does not keep them.
 *
 * @param guessable what an attacker tries first for this user
 * @param withinMs from now on, the wait for others included; the worst of 256 characters takes a second
 * @throws {AuthError} temporarily_unavailable
 */
export function estimate(password: string, guessable: string[], withinMs: number): Promise<Estimate> {
  const patience = AbortSignal.timeout(withinMs);
  const estimated = turn.then(() => estimateAlone(password, guessable, patience));
  turn = estimated.catch(() => undefined); // The caller hears of it; the next one in line does not.
  return estimated;
}

async function estimateAlone(
  password: string,
  guessable: string[],
  patience: AbortSignal,
): Promise<Estimate> {
  if (patience.aborted) throw unestimated();
  const task: EstimateTask = { password, guessable };
  // It needs nothing of ours, secrets least of all.
  const thread = new Worker(THREAD, { env: {}, execArgv: [], workerData: task });
  try {
    const [answer] = (await once(thread, 'message', { signal: patience })) as [Estimate];
    return answer;
  } catch {
    // What it failed with may quote the password.
    throw unestimated();
  } finally {
    await thread.terminate();
  }
}

function unestimated(): AuthError {
  return new AuthError('temporarily_unavailable', {
    cause: new Reason('a password could not be estimated'),
  });
}
