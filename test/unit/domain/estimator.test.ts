// How long somebody waits who has a password judged: the others' passwords are part of it, the dictionaries are loaded once.
import { afterEach, beforeEach, expect, it } from 'vitest';

import { estimate } from '../../../src/domain/passwords/estimator.js';
import { AMPLE_MS } from '../../support/house.js';

const PASSWORD = 'lantern orchard violet tram';
/** To guess. */
const HARD = expect.toSatisfy((guesses: number) => guesses > 1e10) as number;

let opened: number;
const count = () => void (opened += 1);

beforeEach(async () => {
  await estimate(PASSWORD, [], AMPLE_MS);
  opened = 0;
  process.on('worker', count);
});
afterEach(() => void process.off('worker', count));

/** As long as passwords may be, each another, and hard to judge. */
function longPassword(turn: number): string {
  return `${turn} `.padEnd(256, 'password1qwerty2Monkey3dragon4');
}

it('loads the dictionaries once, for however many passwords', async () => {
  for (let turn = 0; turn < 20; turn += 1) {
    expect(await estimate(`${PASSWORD} ${turn}`, [], AMPLE_MS)).toMatchObject({ guesses: HARD });
  }
  expect(opened).toBe(0);
});

it('forgets what an attacker would try first for the user before', async () => {
  const word = 'zwirbelkrautstampfer';
  const isFound = async (guessable: string[]) =>
    (await estimate(word, guessable, AMPLE_MS)).parts.some(({ dictionary }) => dictionary === 'userInputs');
  expect([await isFound([]), await isFound([word]), await isFound([])]).toEqual([false, true, false]);
});

it('gives up a judgement that takes too long, and judges the next in a thread of its own', async () => {
  const hung = estimate(longPassword(0), [], 1);
  await expect(hung).rejects.toMatchObject({ code: 'temporarily_unavailable' });
  expect(await estimate(PASSWORD, [], AMPLE_MS)).toMatchObject({ guesses: HARD });
  expect(opened).toBeLessThanOrEqual(1);
});

it('goes on loading them when somebody who waits for it gives up', async () => {
  const giveUp = (turn: number) => estimate(longPassword(turn), [], 1).catch(() => 'given up');
  // Its judgement ends the thread that there is.
  expect(await giveUp(0)).toBe('given up');
  expect(await Promise.all([1, 2, 3].map(giveUp))).toEqual(['given up', 'given up', 'given up']);
  expect(await estimate(PASSWORD, [], AMPLE_MS)).toMatchObject({ guesses: HARD });
  expect(opened).toBe(1);
});

it('ends for all within what each of them allows, whoever else is waiting', async () => {
  const withinMs = 300;
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, (_, turn) =>
      estimate(longPassword(turn), [], withinMs).then(
        () => 'judged',
        (error: unknown) => error,
      ),
    ),
  );
  const refused = outcomes.filter((outcome) => outcome !== 'judged');
  expect(refused.length).toBeGreaterThan(0);
  for (const error of refused) expect(error).toMatchObject({ code: 'temporarily_unavailable' });
  expect(await estimate(PASSWORD, [], AMPLE_MS)).toMatchObject({ guesses: HARD });
});
