/** Admission of logins when many come at once: permits, taken before any work, and fewer slots in which passwords are hashed. */
import { AuthError, Reason } from '../errors.js';
import { blocksAround } from '../networks.js';

export interface HashingLoad {
  running: number;
  waiting: number;
  /** Logins that hold a permit: they were let in and have not been answered. */
  admitted: number;
  /** How many may hold one at once, as fast as passwords are hashed now. */
  limit: number;
}

/** A fixed number of slots, first come, first served; a slot is free again when its work is really done. */
export function createSlots(maxConcurrent: number, maxWaitMs: number) {
  const waiting = new Set<() => void>();
  let running = 0;

  function enter(): Promise<void> {
    if (running < maxConcurrent) {
      running += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const giveUp = setTimeout(() => {
        waiting.delete(admit);
        reject(busy('no slot for hashing came free in time'));
      }, maxWaitMs);
      function admit(): void {
        clearTimeout(giveUp);
        resolve();
      }
      waiting.add(admit);
    });
  }

  // The slot is handed to the next in line without being counted free in between: a newcomer cannot overtake.
  function leave(): void {
    const [next] = waiting;
    if (next === undefined) {
      running -= 1;
      return;
    }
    waiting.delete(next);
    next();
  }

  async function run<Result>(work: () => Promise<Result>): Promise<Result> {
    await enter();
    try {
      return await work();
    } finally {
      leave();
    }
  }

  return { run, load: () => ({ running, waiting: waiting.size }) };
}

/**
 * A queue of works of very different lengths, which are done one at a time. One is let in while all that are in are expected to be
 * done within the time that they have; one that takes longer by itself is let in alone.
 */
export function createWeighedQueue(withinMs: number) {
  const slot = createSlots(1, withinMs * 2);
  let expectedMs = 0;

  /** @throws {AuthError} temporarily_unavailable when too much is in already */
  async function run<Result>(ms: number, work: () => Promise<Result>): Promise<Result> {
    if (expectedMs > 0 && expectedMs + ms > withinMs) throw busy('too many hashes of other systems at once');
    expectedMs += ms;
    try {
      return await slot.run(work);
    } finally {
      expectedMs -= ms;
    }
  }

  return { run, load: slot.load };
}

/**
 * As many logins as can all be hashed within a quarter of the wait: those that hash now, and those that come after them.
 * The rest is for what their statements take, and for a machine that is suddenly slower than a moment ago.
 */
export function countPermits(maxConcurrent: number, maxWaitMs: number, hashMs: number): number {
  return maxConcurrent * (1 + Math.floor(maxWaitMs / 4 / hashMs));
}

/**
 * Permits that are given at once or not at all. A network may hold as many as it leaves free: one alone gets half of
 * them, two get a third each, and so on, so that a flood from a few networks always leaves permits to the others. The same
 * holds for each block of networks: many networks that are in one hand are no more than one.
 */
export function createPermits(count: () => number) {
  const held = new Map<string, number>();
  let taken = 0;

  function take(blocks: string[], permits: 1 | -1): void {
    taken += permits;
    for (const block of blocks) {
      const left = (held.get(block) ?? 0) + permits;
      if (left === 0) held.delete(block);
      else held.set(block, left);
    }
  }

  function assertFreeIn(blocks: string[]): void {
    const free = count() - taken;
    if (free <= 0 || blocks.some((block) => (held.get(block) ?? 0) >= free)) throw NO_PERMIT;
  }

  async function admit<Result>(network: string, work: () => Promise<Result>): Promise<Result> {
    const blocks = blocksAround(network);
    assertFreeIn(blocks);
    take(blocks, 1);
    try {
      return await work();
    } finally {
      take(blocks, -1);
    }
  }

  return {
    admit,
    assertFree: (network: string) => assertFreeIn(blocksAround(network)),
    taken: () => taken,
    limit: count,
  };
}

/** Made once: of a storm's thousand refusals a second none is worth a stack of its own. */
const NO_PERMIT = busy('more logins than can be hashed in time');

function busy(why: string): AuthError {
  return new AuthError('temporarily_unavailable', {
    cause: new Reason(why, 'hashing'),
    retryAfterSeconds: 1,
  });
}
