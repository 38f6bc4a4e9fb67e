// Clocks of this process that stand still, for what a busy machine would not get done in time.
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished, vi } from 'vitest';

/** Stops the clock by which answers grow old until the test is over; it moves on by as many milliseconds as it is told. */
export function stopClock(): (ms: number) => Promise<void> {
  const clock = vi.spyOn(performance, 'now');
  onTestFinished(() => clock.mockRestore());
  let nowMs = Math.round(performance.now());
  clock.mockImplementation(() => nowMs);
  return async (ms) => {
    nowMs += ms;
    // Memories read their clock at most once in a millisecond.
    await sleep(5);
  };
}

/** Stops the minute that rates are counted by, which a busy machine does not get through all of them in. Returns what lets it go on. */
export function stopMinute(): () => void {
  const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now());
  return () => clock.mockRestore();
}
