/** A thread that estimates how hard one password is to guess. It gives way to the event loop, and ends afterwards. */
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';

/** What the service gives the thread as `workerData`. */
export interface EstimateTask {
  password: string;
  /** What an attacker tries first for this user. */
  guessable: string[];
}

/** What the thread answers about a password, without repeating any of it. */
export interface Estimate {
  /** Of zxcvbn: 0 (too guessable) to 4 (very unguessable). */
  score: number;
  /** What it is made of, from left to right. */
  parts: { pattern: string; dictionary: string | undefined; length: number }[];
}

const NICENESS = 5;

// On Linux a niceness belongs to one thread; elsewhere it would slow down the whole service.
if (process.platform === 'linux') setPriority(Math.max(NICENESS, getPriority()));
parentPort?.postMessage(await estimate(workerData as EstimateTask));

async function estimate({ password, guessable }: EstimateTask): Promise<Estimate> {
  // Loaded here, and not above: loading the dictionaries takes long, and has to give way, too.
  const { ZxcvbnFactory } = await import('@zxcvbn-ts/core');
  const { adjacencyGraphs: graphs, dictionary } = await import('@zxcvbn-ts/language-common');
  const estimator = new ZxcvbnFactory({ dictionary: { ...dictionary, service: ['gatehouse'] }, graphs });
  const { score, sequence } = estimator.check(password, guessable);
  return {
    score,
    parts: sequence.map(({ pattern, dictionaryName, token }) => ({
      pattern,
      dictionary: dictionaryName as string | undefined,
      length: token.length,
    })),
  };
}
