// How long somebody waits who has a password judged: the others' passwords are part of it.
import { expect, it } from 'vitest';

import { estimate } from '../../../src/domain/passwords/estimator.js';

/** More than can be judged one after the other in that time, a thread with its dictionaries for each. */
const PASSWORDS = 60;
const WITHIN_MS = 1500;

it('ends for all within what each of them allows, whoever else is waiting', async () => {
  const startedAt = performance.now();
  const outcomes = await Promise.all(
    Array.from({ length: PASSWORDS }, (_, turn) =>
      estimate(`lantern orchard violet ${turn}`, [], WITHIN_MS).then(
        ({ score }) => ({ score, ms: performance.now() - startedAt }),
        (error: unknown) => ({ error, ms: performance.now() - startedAt }),
      ),
    ),
  );
  const refused = outcomes.filter((outcome) => 'error' in outcome);
  expect(refused.length).toBeGreaterThan(0);
  for (const { error } of refused) expect(error).toMatchObject({ code: 'temporarily_unavailable' });
  // The others were judged in time; the refused ones are told at most as late as the last thread takes to end.
  for (const outcome of outcomes) if ('score' in outcome) expect(outcome.ms).toBeLessThan(WITHIN_MS + 5000);
  expect(await estimate('lantern orchard violet tram', [], 60_000)).toMatchObject({ score: 4 });
});
