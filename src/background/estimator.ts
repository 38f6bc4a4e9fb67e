/** A thread that estimates how hard passwords are to guess, one after the other. It gives way to the event loop. */
import { getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';

/** What the service sends. */
export interface EstimateTask {
  password: string;
  /** What an attacker tries first for this user. */
  guessable: string[];
}

/** What the thread answers about a password, without repeating any of it. */
export interface Estimate {
  /** How many guesses an attacker needs who knows what people choose. */
  guesses: number;
  /** What it is made of, from left to right. */
  parts: { pattern: string; dictionary: string | undefined; length: number }[];
}

const NICENESS = 5;

// On Linux a niceness belongs to one thread; elsewhere it would slow down the whole service.
if (process.platform === 'linux') setPriority(Math.max(NICENESS, getPriority()));
// Loaded here, and not above: loading the dictionaries takes long, and has to give way, too.
const { ZxcvbnFactory } = await import('@zxcvbn-ts/core');
const { adjacencyGraphs: graphs, dictionary } = await import('@zxcvbn-ts/language-common');
const estimator = new ZxcvbnFactory({ dictionary: { ...dictionary, service: ['gatehouse'] }, graphs });
parentPort?.on('message', (task: EstimateTask) => parentPort?.postMessage(estimate(task)));
// The first message says that they are loaded.
parentPort?.postMessage(null);

function estimate({ password, guessable }: EstimateTask): Estimate {
  const { guesses, sequence } = estimator.check(password, guessable);
  return {
    guesses,
    parts: sequence.map(({ pattern, dictionaryName, token }) => ({
      pattern,
      dictionary: dictionaryName as string | undefined,
      length: token.length,
    })),
  };
}
