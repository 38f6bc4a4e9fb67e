/** How hard a password is to guess, estimated in a thread of its own: that takes long, and others are not to wait for it. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

import type { Estimate, EstimateTask } from '../../background/estimator.js';
import { AuthError, Reason } from '../errors.js';

/** The compiled file, also for tests, which run the sources: Node does not run TypeScript. */
const THREAD = createRequire(import.meta.url).resolve('#background/estimator');

interface Thread {
  worker: Worker;
  /** Resolves when the dictionaries are loaded. */
  loaded: Promise<unknown>;
}

let turn: Promise<unknown> = Promise.resolve();
let thread: Thread | undefined;

/**
 * Estimates one password after the other, in one thread that is opened for the first of them and kept: loading the dictionaries
 * takes up to 1.6 s of a core, and anybody who is logged in can have passwords judged. A process that only verifies passwords
 * never loads them.
 *
 * @param guessable what an attacker tries first for this user
 * @param withinMs from now on, the wait for others included; the worst of 256 characters takes a second
 * @throws {AuthError} temporarily_unavailable
 */
export function estimate(password: string, guessable: string[], withinMs: number): Promise<Estimate> {
  const patience = AbortSignal.timeout(withinMs);
  const estimated = turn.then(() => estimateAlone({ password, guessable }, patience));
  turn = estimated.catch(() => undefined); // The caller hears of it; the next one in line does not.
  return estimated;
}

async function estimateAlone(task: EstimateTask, patience: AbortSignal): Promise<Estimate> {
  const { worker, loaded } = (thread ??= openThread());
  worker.ref();
  try {
    // Who gives up before it is loaded leaves it to the next in line: begun anew each time, it would never be.
    await orGiveUp(loaded, patience);
    return await judge(worker, task, patience);
  } catch {
    // What it failed with may quote the password.
    throw unestimated();
  } finally {
    // Waiting for passwords keeps nobody's process from ending.
    worker.unref();
  }
}

/** A judgement that takes too long may never end: its thread goes, and the next one opens another. */
async function judge(worker: Worker, task: EstimateTask, patience: AbortSignal): Promise<Estimate> {
  const ended = new AbortController();
  const end = () => ended.abort();
  worker.once('exit', end);
  worker.postMessage(task);
  try {
    const signal = AbortSignal.any([patience, ended.signal]);
    const [answer] = (await once(worker, 'message', { signal })) as [Estimate];
    return answer;
  } catch (error) {
    await close(worker);
    throw error;
  } finally {
    worker.off('exit', end);
  }
}

function openThread(): Thread {
  // It needs nothing of ours, secrets least of all.
  const worker = new Worker(THREAD, { env: {}, execArgv: [] });
  // Those who wait for it hear of it; a thread that nobody waits for must not end the process.
  worker.on('error', () => undefined);
  worker.once('exit', () => forget(worker));
  const loaded = new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('exit', reject);
  });
  loaded.catch(() => undefined);
  return { worker, loaded };
}

async function close(worker: Worker): Promise<void> {
  forget(worker);
  await worker.terminate();
}

function forget(worker: Worker): void {
  if (thread?.worker === worker) thread = undefined;
}

async function orGiveUp(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const over = new AbortController();
  try {
    await Promise.race([work, once(signal, 'abort', { signal: over.signal })]);
    signal.throwIfAborted();
  } finally {
    over.abort();
  }
}

function unestimated(): AuthError {
  return new AuthError('temporarily_unavailable', {
    cause: new Reason('a password could not be estimated', 'hashing'),
  });
}
