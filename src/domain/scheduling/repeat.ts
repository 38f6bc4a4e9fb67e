/** Does something again and again beside the requests, never twice at a time. */

/**
 * @param work does not reject
 * @param delayMs how long to wait before the first time, and after each
 * @returns stops it, once the work under way is done; the work hears of it by its signal
 */
export function repeat(
  work: (stopping: AbortSignal) => Promise<void>,
  delayMs: () => number,
): () => Promise<void> {
  const stopping = new AbortController();
  let timer: NodeJS.Timeout;
  let round = Promise.resolve();

  function schedule(): void {
    if (stopping.signal.aborted) return;
    timer = setTimeout(() => {
      round = work(stopping.signal).finally(schedule);
    }, delayMs());
    timer.unref();
  }

  schedule();
  return async () => {
    stopping.abort();
    clearTimeout(timer);
    await round;
  };
}
