// @ts-check
// How long this process stood still itself: what it did not see meanwhile is nobody else's delay.

const EVERY_MS = 100;

/** Shorter gaps are the day of a busy process, and excuse nobody. */
const LEAST_MS = 500;

/** @param {() => number} now */
export function createStandstill(now) {
  let seenAt = now();
  let stoodMs = 0;

  function gapMs() {
    const gap = now() - seenAt - EVERY_MS;
    return gap < LEAST_MS ? 0 : gap;
  }

  const timer = setInterval(() => {
    stoodMs += gapMs();
    seenAt = now();
  }, EVERY_MS);

  return {
    /** Since it was made, a standstill that has only just ended included. */
    totalMs: () => stoodMs + gapMs(),
    close: () => clearInterval(timer),
  };
}
