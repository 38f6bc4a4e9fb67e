/** argon2 in a process that gives way to all other work, so that answers about tokens do not wait for cores that hash. */
import type { Options } from '@node-rs/argon2';

import {
  openHashingProcess,
  type Answer,
  type HashingProcess,
  type Manner,
  type Verb,
} from './hashing-process.js';

export interface Argon2 {
  hash: (password: string, options: Options) => Promise<string>;
  verify: (phc: string, password: string) => Promise<boolean>;
  /** Ends the process, with whatever it is doing. */
  close: () => Promise<void>;
  /** How long one takes, from what those before took: milliseconds on a thread of its own, without any wait for us. */
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
const STARVED_FOR_MS = 30_000;

/**
 * @param assumedMs what a hash takes, until the first ones have told
 * @param starvedForMs how long `idle` is not tried again
 */
export function createArgon2(assumedMs: number, starvedForMs = STARVED_FOR_MS): Argon2 {
  const inUse = new Map<Manner, HashingProcess>();
  const living = new Set<HashingProcess>();
  let hashMs = assumedMs;
  let starvedUntilMs = 0;
  const isStarved = () => performance.now() < starvedUntilMs;

  function find(manner: Manner): HashingProcess {
    const known = inUse.get(manner);
    if (known !== undefined) return known;
    const opened = openHashingProcess(manner);
    inUse.set(manner, opened);
    living.add(opened);
    void opened.ended.then(() => {
      living.delete(opened);
      if (inUse.get(manner) === opened) inUse.delete(manner);
    });
    return opened;
  }

  function end(manner: Manner): void {
    inUse.get(manner)?.kill();
    inUse.delete(manner);
  }

  /** What the idle process answers, or undefined when it gets nothing; it is ended then, and not only for this hash. */
  async function askIdle(verb: Verb, args: unknown[]): Promise<Answer | undefined> {
    const idle = find('idle');
    await idle.ready;
    const starving = setTimeout(() => {
      starvedUntilMs = performance.now() + starvedForMs;
      end('idle');
    }, STARVED_MS);
    try {
      const answer = await idle.ask(verb, args);
      if (inUse.get('nice')?.isFree() === true) end('nice');
      return answer;
    } catch (error) {
      if (isStarved()) return undefined;
      throw error;
    } finally {
      clearTimeout(starving);
    }
  }

  /** Whether the idle process is to be tried; while it starts anew, the nice one goes on. */
  function mayBeIdle(): boolean {
    return !isStarved() && (find('idle').isReady() || !inUse.has('nice'));
  }

  async function run<Value>(verb: Verb, args: unknown[]): Promise<Value> {
    const idle = mayBeIdle() ? await askIdle(verb, args) : undefined;
    const answer = idle ?? (await find('nice').ask(verb, args));
    if ('error' in answer) throw answer.error;
    hashMs += (Math.min(answer.tookMs, ACCIDENT * hashMs) - hashMs) * WEIGHT;
    return answer.value as Value;
  }

  return {
    close: async () => {
      const ends = [...living].map(({ kill, ended }) => (kill(), ended));
      await Promise.all(ends);
    },
    hash: (password, options) => run('hash', [password, options]),
    verify: (phc, password) => run('verify', [phc, password]),
    hashMs: () => hashMs,
  };
}
