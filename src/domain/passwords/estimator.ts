/** How hard a password is to guess, estimated in a thread of its own: that takes long, and others are not to wait for it. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

import { AuthError, Reason } from '../errors.js';

/** What is told of a password, without repeating any of it. */
export interface Estimate {
  /** Of zxcvbn: 0 (too guessable) to 4 (very unguessable). */
  score: number;
  /** What it is made of, from left to right. */
  parts: { pattern: string; dictionary?: string; length: number }[];
}

const require = createRequire(import.meta.url);
const LIBRARIES = {
  core: require.resolve('@zxcvbn-ts/core'),
  common: require.resolve('@zxcvbn-ts/language-common'),
};

/**
 * As text, since it must be found beside the compiled files and beside their sources, which Node does not run. On Linux
 * a niceness is a thread's own, and this one gives way to the event loop; elsewhere it would be the whole process's.
 */
const THREAD = `
  const { getPriority, setPriority } = require('node:os');
  const { parentPort, workerData } = require('node:worker_threads');
  const { password, guessable, core, common } = workerData;
  if (process.platform === 'linux') setPriority(Math.max(5, getPriority()));
  const { ZxcvbnFactory } = require(core);
  const { adjacencyGraphs: graphs, dictionary } = require(common);
  const estimator = new ZxcvbnFactory({ dictionary: { ...dictionary, service: ['gatehouse'] }, graphs });
  const { score, sequence } = estimator.check(password, guessable);
  parentPort.postMessage({
    score,
    parts: sequence.map(({ pattern, dictionaryName: dictionary, token }) => ({ pattern, dictionary, length: token.length })),
  });
`;

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
  turn = estimated.catch(() => undefined); // Told to whoever asked: the next in line has no part in it.
  return estimated;
}

async function estimateAlone(
  password: string,
  guessable: string[],
  patience: AbortSignal,
): Promise<Estimate> {
  if (patience.aborted) throw unestimated();
  // It needs nothing of ours, secrets least of all.
  const options = { eval: true, env: {}, execArgv: [], workerData: { ...LIBRARIES, password, guessable } };
  const thread = new Worker(THREAD, options);
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
