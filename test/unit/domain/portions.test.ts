// Much work on many things lets everything else of the process have its turn, however many batches there are.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';

import { mapInPortions } from '../../../src/domain/scheduling/portions.js';

const PORTION = 16;

it('keeps the order of what it is given', async () => {
  const items = Array.from({ length: 50 }, (_, n) => n);
  expect(await mapInPortions(items, (n) => 2 * n)).toEqual(items.map((n) => 2 * n));
  expect(await mapInPortions([], (n) => n)).toEqual([]);
});

it('does one portion in a round of the event loop, also of many batches', async () => {
  const batch = Array.from({ length: 4 * PORTION }, (_, n) => n);
  let done = 0;
  const work = () => (done += 1);
  const first = mapInPortions(batch, work);
  expect(done).toBe(PORTION);
  const all = Promise.all([first, ...Array.from({ length: 5 }, () => mapInPortions(batch, work))]);
  const perRound: number[] = [];
  for (let before = done; done < 6 * batch.length; before = done) {
    await nextTurn();
    perRound.push(done - before);
  }
  await all;
  expect(Math.max(...perRound)).toBe(PORTION);
});

it('does one thing alone at once, beside all that wait', async () => {
  const all = [1, 2].map(() => mapInPortions(Array.from({ length: 4 * PORTION }), () => 0));
  let isDone = false;
  const alone = mapInPortions([1], () => (isDone = true));
  expect(isDone).toBe(true);
  await Promise.all([...all, alone]);
});
