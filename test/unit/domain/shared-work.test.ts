// Work that many ask for: done once for those who asked before it began, once more for those who came later, and not too often.
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { shareWork } from '../../../src/domain/liveness/shared.js';

const EVERY_MS = 200;
/** A timer may end so much before its time. */
const EARLY_MS = 2;

/** By a clock that nobody stops, in milliseconds. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** Notes when the work begins, and does what each time is told. */
function open(everyMs: number, ...outcomes: (() => Promise<unknown>)[]) {
  const begunAtMs: number[] = [];
  const ask = shareWork(everyMs, () => {
    begunAtMs.push(now());
    return (outcomes.shift() ?? (() => Promise.resolve()))();
  });
  return { ask, begunAtMs };
}

describe('work that is shared', () => {
  it('is done once for all who ask before it begins, and tells them nothing but that it is done', async () => {
    const { ask, begunAtMs } = open(EVERY_MS, () => Promise.resolve('for nobody'));
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([undefined, undefined, undefined]);
    expect(begunAtMs).toHaveLength(1);
  });

  it('begins at once where it was never done, however seldom it may be', async () => {
    const { ask, begunAtMs } = open(2 ** 31 - 1);
    await ask();
    expect(begunAtMs).toHaveLength(1);
  });

  it('begins once more for those who ask while it is done: what it found may be older than their question', async () => {
    const asked: Promise<void>[] = [];
    const { ask, begunAtMs } = open(0, () => {
      asked.push(ask(), ask());
      return Promise.resolve();
    });
    await ask();
    await Promise.all(asked);
    expect(begunAtMs).toHaveLength(2);
  });

  it('waits its time since it last began, also after it has failed', async () => {
    // Longer than any timer takes: a wait that counts from there, and not from now, would be over at once.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1e12);
    onTestFinished(() => clock.mockRestore());
    const { ask, begunAtMs } = open(EVERY_MS, () => Promise.reject(new Error('away')));
    const both = await Promise.allSettled([ask(), ask()]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await ask();
    await ask();
    expect(begunAtMs).toHaveLength(3);
    const [first = 0, second = 0, third = 0] = begunAtMs;
    expect(second - first).toBeGreaterThan(EVERY_MS - EARLY_MS);
    expect(third - second).toBeGreaterThan(EVERY_MS - EARLY_MS);
  });
});
