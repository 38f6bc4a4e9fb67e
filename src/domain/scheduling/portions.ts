/** Work on many things at once that lets everything else of the process have its turn in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** So many EdDSA signatures take about a millisecond to verify or to make, those of RS256 ten times as long to make. */
const PORTION = 16;

/** When the last portion that waits for its turn will have had it. */
let lastTurn: Promise<void> = Promise.resolve();
let waiting = 0;

/** Of all portions of the process, one has its turn in each round of the event loop: many batches at once are no worse than one. */
async function takeTurn(): Promise<void> {
  waiting += 1;
  lastTurn = lastTurn.then(() => nextTurn());
  await lastTurn;
  waiting -= 1;
}

/**
 * What `work` makes of each, in their order. Between two portions everybody else gets a turn; one alone waits for nobody.
 *
 * @param portion how many are done at once
 */
export async function mapInPortions<T, R>(
  items: readonly T[],
  work: (item: T) => R,
  portion = PORTION,
): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) {
    const isPortion = results.length % portion === 0;
    if (isPortion && (results.length > 0 || (waiting > 0 && items.length > 1))) await takeTurn();
    results.push(work(item));
  }
  return results;
}
