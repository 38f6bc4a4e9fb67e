/** Work that is asked for more often than it is worth. */

/** Does it at once, and then no more often than that; what is asked for in between is dropped. */
export function atMostEvery<Args extends unknown[]>(
  ms: number,
  act: (...args: Args) => void,
): (...args: Args) => void {
  let nextAt = 0;
  return (...args) => {
    const now = performance.now();
    if (now < nextAt) return;
    nextAt = now + ms;
    act(...args);
  };
}
