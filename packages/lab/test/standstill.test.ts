// How long this process stood still: whole standstills count, the gaps of a busy process do not.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { createStandstill } from '../chaos/standstill.js';

let now: number;
let standstill: ReturnType<typeof createStandstill>;

beforeEach(() => {
  vi.useFakeTimers();
  now = 0;
  standstill = createStandstill(() => now);
});
afterEach(() => {
  standstill.close();
  vi.useRealTimers();
});

/** The event loop comes round once in so many milliseconds. */
function pass(...turns: number[]): void {
  for (const ms of turns) {
    now += ms;
    vi.advanceTimersByTime(100);
  }
}

it('counts nothing while the event loop comes round, be it slowly', () => {
  pass(100, 101, 250, 590);
  expect(standstill.totalMs()).toBe(0);
});

it('adds standstills up, each but for the time in which nothing was expected', () => {
  pass(100, 3800, 100, 1100, 100);
  expect(standstill.totalMs()).toBe(3700 + 1000);
});

it('knows of one that has only just ended, and counts it once', () => {
  pass(100);
  now += 3800;
  expect(standstill.totalMs()).toBe(3700);
  pass(0, 100);
  expect(standstill.totalMs()).toBe(3700);
});
