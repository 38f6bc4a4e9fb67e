/** argon2 in processes that give way to all other work, so that answers about tokens do not wait for cores that hash. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Options } from '@node-rs/argon2';

import { AuthError, Reason } from './errors.js';

export interface Argon2 {
  hash: (password: string, options: Options) => Promise<string>;
  verify: (phc: string, password: string) => Promise<boolean>;
  /** Ends the processes, with whatever they are doing. */
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

/**
 * How they give way on Linux. `idle` runs when nobody else wants the core, and is off
 * it at once when somebody does: with a mere niceness every answer waits for the end of a time slice, several times over.
 * But where others want all cores all the time it gets nothing, and nobody could log in: then `nice`, a tenth of a share.
 */
type Manner = 'idle' | 'nice';
const NICENESS = 10;

/** When a hash takes so long, `idle` gets nothing any more, and is not tried again for a while. */
const STARVED_MS = 200;
const STARVED_FOR_MS = 10_000;
const START_MS = 2000;

/**
 * A process for each, not a thread: argon2 takes and returns 19 MiB for every hash, and a thread that gives way while it
 * holds the lock on the memory they share keeps the event loop waiting until nobody else wants the core.
 *
 * As text, since it must be found beside the compiled files and beside their sources, which Node does not run. Of
 * scheduling classes Node knows nothing, so `chrt` of util-linux is asked; where there is none, a niceness must do.
 */
const PROCESS = `
  const { execFileSync } = require('node:child_process');
  const { getPriority, setPriority } = require('node:os');
  const [library, manner, niceness] = process.argv.slice(1);
  process.once('disconnect', () => process.exit());
  // Whoever told us to hash tells us to go.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGBREAK']) process.on(signal, () => undefined);
  // Whoever started us with less may not ask for more.
  setPriority(Math.max(Number(niceness), getPriority()));
  if (process.platform === 'linux' && manner === 'idle') {
    try {
      execFileSync('chrt', ['-a', '-i', '-p', '0', String(process.pid)], { stdio: 'ignore' });
    } catch {}
  }
  const { hashSync, verifySync } = require(library);
  const verbs = { hash: hashSync, verify: verifySync };
  // Whoever asked may be gone by then, killed: that is no error to tell of.
  const answer = (message) => process.send(message, (error) => error && process.exit());
  process.on('message', ({ verb, args }) => {
    const startedAt = performance.now();
    try {
      const value = verbs[verb](...args);
      answer({ value, tookMs: performance.now() - startedAt });
    } catch (error) {
      answer({ error });
    }
  });
`;

type Answer<Value> = { value: Value; tookMs: number } | { error: unknown };

const LIBRARY = createRequire(import.meta.url).resolve('@node-rs/argon2');

/** @param patience after how many milliseconds, of a start and of a hash, a process is taken to get nothing */
export function createArgon2(
  assumedMs: number,
  patience = { startMs: START_MS, hashMs: STARVED_MS },
): Argon2 {
  const free: Record<Manner, ChildProcess[]> = { idle: [], nice: [] };
  const ended = new Map<ChildProcess, Promise<unknown>>();
  let hashMs = assumedMs;
  let starvedUntilMs = 0;

  /** Opens a process when none is free: there are as many as work was ever given at once. */
  async function run<Value>(verb: 'hash' | 'verify', args: unknown[]): Promise<Value> {
    const manner = performance.now() < starvedUntilMs ? 'nice' : 'idle';
    const known = free[manner].pop();
    const child = known ?? open(manner);
    // A new one has to start first.
    const patienceMs = known === undefined ? patience.startMs : patience.hashMs;
    const starving = setTimeout(() => (starvedUntilMs = performance.now() + STARVED_FOR_MS), patienceMs);
    try {
      const answer = await ask<Value>(child, { verb, args });
      free[manner].push(child);
      if ('error' in answer) throw answer.error;
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
    hash: (password, options) => run('hash', [password, options]),
    verify: (phc, password) => run('verify', [phc, password]),
    hashMs: () => hashMs,
  };
}

function openProcess(manner: Manner): ChildProcess {
  const child = spawn(process.execPath, ['-e', PROCESS, LIBRARY, manner, String(NICENESS)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
    // It needs nothing of ours, secrets least of all.
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  });
  child.unref();
  child.on('error', () => undefined); // Told to whoever waits; there is nobody to tell while it is free.
  return child;
}

/**
 * Keeps us alive as long as it takes, and no longer: a process that is free is none's business.
 *
 * @throws {AuthError} temporarily_unavailable when the process cannot be started, or ends before it has answered
 */
async function ask<Value>(child: ChildProcess, request: object): Promise<Answer<Value>> {
  const over = new AbortController();
  const { signal } = over;
  child.channel?.ref();
  try {
    // For want of memory, say: it rejects when there is no process at all.
    const ended = once(child, 'exit', { signal }).then(fail, fail);
    const answered = once(child, 'message', { signal });
    child.send(request, (error) => {
      if (error !== null) child.kill();
    });
    const [answer] = (await Promise.race([answered, ended])) as [Answer<Value>];
    return answer;
  } finally {
    child.channel?.unref();
    over.abort();
  }
}

function fail(): never {
  throw new AuthError('temporarily_unavailable', {
    cause: new Reason('the process that hashes has ended, or cannot be started'),
  });
}
