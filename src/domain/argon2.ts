/** argon2 on threads that give way to all other work, so that answers about tokens do not wait for cores that hash. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { Options } from '@node-rs/argon2';

export interface Argon2 {
  hash: (password: string, options: Options) => Promise<string>;
  verify: (phc: string, password: string) => Promise<boolean>;
  /** How long one takes, from what those before took: milliseconds on a thread of its own, without any wait for us. */
  hashMs: () => number;
}

/**
 * How much one hash counts against what those before it took, and how many times as long it may count for: one that was
 * held up is an accident, several in a row are a slow machine.
 */
const WEIGHT = 1 / 8;
const ACCIDENT = 2;

/**
 * Less than a tenth of the share of others where they want the core too, and all of it where nobody else does. Linux
 * knows a niceness of each thread; elsewhere it is the process's, and stays as it is.
 */
const NICENESS = 10;

/** As text, since it must be found beside the compiled files and beside their sources, which Node does not run. */
const THREAD = `
  const { parentPort, workerData } = require('node:worker_threads');
  if (process.platform === 'linux') require('node:os').setPriority(workerData.niceness);
  const { hashSync, verifySync } = require(workerData.library);
  const verbs = { hash: hashSync, verify: verifySync };
  parentPort.on('message', ({ verb, args }) => {
    const startedAt = performance.now();
    try {
      const value = verbs[verb](...args);
      parentPort.postMessage({ value, tookMs: performance.now() - startedAt });
    } catch (error) {
      parentPort.postMessage({ error });
    }
  });
`;

type Answer<Value> = { value: Value; tookMs: number } | { error: unknown };

const LIBRARY = createRequire(import.meta.url).resolve('@node-rs/argon2');

/** libuv's own threads would hash as well, but they cannot be told to give way, and serve DNS and files too. */
export function createArgon2(assumedMs: number): Argon2 {
  const idle: Worker[] = [];
  let hashMs = assumedMs;

  /** Opens a thread when none is idle: there are as many as work was ever given at once. */
  async function run<Value>(verb: 'hash' | 'verify', args: unknown[]): Promise<Value> {
    const thread = idle.pop() ?? openThread();
    thread.ref();
    thread.postMessage({ verb, args });
    // A thread that dies rejects here, and is not used again.
    const [answer] = (await once(thread, 'message')) as [Answer<Value>];
    thread.unref(); // An idle thread keeps no process alive.
    idle.push(thread);
    if ('error' in answer) throw answer.error;
    hashMs += (Math.min(answer.tookMs, ACCIDENT * hashMs) - hashMs) * WEIGHT;
    return answer.value;
  }

  return {
    hash: (password, options) => run('hash', [password, options]),
    verify: (phc, password) => run('verify', [phc, password]),
    hashMs: () => hashMs,
  };
}

function openThread(): Worker {
  const thread = new Worker(THREAD, {
    eval: true,
    execArgv: [],
    workerData: { library: LIBRARY, niceness: NICENESS },
  });
  thread.on('error', () => undefined); // Told to whoever waits; there is nobody to tell while it is idle.
  return thread;
}
