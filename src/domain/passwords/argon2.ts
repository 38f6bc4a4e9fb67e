/** Passwords hashed and verified in processes that give way to all other work, so that answers about tokens do not wait for cores that hash. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Options } from '@node-rs/argon2';

import type { ForeignHash } from '../../background/foreign.js';
import type { HashingAnswer, HashingTask, Manner } from '../../background/hasher.js';
import { AuthError, Reason } from '../errors.js';

export interface Argon2 {
  hash: (password: string, options: Options) => Promise<string>;
  verify: (phc: string, password: string) => Promise<boolean>;
  /**
   * The same for a hash that another system has made. It tells nothing of how long one of ours takes.
   *
   * @param expectedMs how long it takes, as `hashMs` says of one of ours
   */
  verifyForeign: (hash: ForeignHash, password: string, expectedMs: number) => Promise<boolean>;
  /** Ends the processes, also those at work. */
  close: () => Promise<void>;
  /** How long one takes, from what those before took: milliseconds in a process of its own, without any wait for us. */
  hashMs: () => number;
}

/**
 * How much one hash counts against what those before it took, and how many times as long it may count for: one that was
 * held up is an accident, several in a row are a slow machine.
 */
const WEIGHT = 1 / 8;
const ACCIDENT = 2;

/** When a hash takes so long, `idle` gets nothing any more, and is not tried again for a while. */
const STARVED_MS = 200;
const STARVED_FOR_MS = 10_000;
const START_MS = 2000;

/** The compiled file, also for tests, which run the sources: Node does not run TypeScript. */
const HASHER = createRequire(import.meta.url).resolve('#background/hasher');

/** @param patience after how many milliseconds, of a start and of a hash, a process is taken to get nothing */
export function createArgon2(
  assumedMs: number,
  patience = { startMs: START_MS, hashMs: STARVED_MS },
): Argon2 {
  const free: Record<Manner, ChildProcess[]> = { idle: [], nice: [] };
  const ended = new Map<ChildProcess, Promise<unknown>>();
  let hashMs = assumedMs;
  let starvedUntilMs = 0;

  /**
   * Opens a process when none is free: there are as many as work was ever given at once.
   *
   * @param expectedMs how much longer than one of ours it takes at most
   */
  async function run<Value>(task: HashingTask, expectedMs = 0): Promise<Value> {
    const manner = performance.now() < starvedUntilMs ? 'nice' : 'idle';
    const known = free[manner].pop();
    const child = known ?? open(manner);
    // A new one has to start first.
    const patienceMs = (known === undefined ? patience.startMs : patience.hashMs) + ACCIDENT * expectedMs;
    const starving = setTimeout(() => (starvedUntilMs = performance.now() + STARVED_FOR_MS), patienceMs);
    try {
      const answer = await ask<Value>(child, task);
      free[manner].push(child);
      if ('error' in answer) throw answer.error;
      if (task.verb !== 'verifyForeign')
        hashMs += (Math.min(answer.tookMs, ACCIDENT * hashMs) - hashMs) * WEIGHT;
      return answer.value;
    } finally {
      clearTimeout(starving);
    }
  }

  function open(manner: Manner): ChildProcess {
    const child = openProcess(manner);
    const end = once(child, 'exit').catch(() => undefined);
    ended.set(child, end);
    void end.then(() => {
      ended.delete(child);
      free[manner] = free[manner].filter((each) => each !== child);
    });
    return child;
  }

  return {
    close: async () => {
      const ends = [...ended.values()];
      for (const child of ended.keys()) child.kill('SIGKILL');
      await Promise.all(ends);
    },
    hash: (password, options) => run({ verb: 'hash', args: [password, options] }),
    verify: (phc, password) => run({ verb: 'verify', args: [phc, password] }),
    verifyForeign: (hash, password, expectedMs) =>
      run({ verb: 'verifyForeign', args: [hash, password] }, expectedMs),
    hashMs: () => hashMs,
  };
}

/**
 * A process for each hash, not a thread: argon2 takes and returns 19 MiB for every hash, and a thread that gives way while
 * it holds the lock on the memory they share keeps the event loop waiting until nobody else wants the core.
 */
function openProcess(manner: Manner): ChildProcess {
  const child = spawn(process.execPath, [HASHER, manner], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
    // It needs nothing of ours, secrets least of all.
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  });
  child.unref();
  child.on('error', () => undefined); // The caller that waits hears of it; a free process has no caller.
  return child;
}

/**
 * Keeps this process alive until the answer is there. A free hashing process does not keep it alive.
 *
 * @throws {AuthError} temporarily_unavailable when the process cannot be started, or ends before it has answered
 */
async function ask<Value>(child: ChildProcess, task: HashingTask): Promise<HashingAnswer<Value>> {
  const over = new AbortController();
  const { signal } = over;
  child.channel?.ref();
  try {
    // For want of memory, say: both reject when there is no process at all.
    const ended = once(child, 'exit', { signal }).then(fail, fail);
    const answered = once(child, 'message', { signal }).catch(fail);
    child.send(task, (error) => {
      if (error !== null) child.kill();
    });
    const [answer] = (await Promise.race([answered, ended])) as [HashingAnswer<Value>];
    return answer;
  } finally {
    child.channel?.unref();
    over.abort();
  }
}

function fail(): never {
  throw new AuthError('temporarily_unavailable', {
    cause: new Reason('the process that hashes has ended, or cannot be started', 'hashing'),
  });
}
