// Batches before the checker: a batch is as strict as its parts, each of which is an answer with the times of the request.
import { expect, it } from 'vitest';

import type { Operation, Token } from '../chaos/history.js';
import { tellStory, type Story, type When } from './checker-story.js';

function askBatch(story: Story, when: When, results: [token: Token, active: boolean][]): Operation[] {
  return results.map(([token, active]) =>
    story.ask('introspect', when, { token: token.id, active, reissued: null, batchSize: results.length }),
  );
}

/** Ann has logged out, and Bob has not. */
function tellOfLogout() {
  const story = tellStory();
  const ann = story.logIn(100);
  const bob = story.logIn(100, { user: 'bob' });
  story.ask('logout', [1000, 1010], { token: ann.access.id });
  return { story, ann: ann.access, bob: bob.access };
}

it('takes right results, and counts them apart', () => {
  const { story, ann, bob } = tellOfLogout();
  askBatch(story, 500, [
    [bob, true],
    [ann, true],
  ]);
  askBatch(story, 2000, [
    [ann, false],
    [bob, true],
    [ann, false],
  ]);
  story.introspect(ann, 3000, false);
  expect(story.violations()).toEqual([]);
  expect(story.check().counts.judged).toMatchObject({
    'A ended': 3,
    'A ended, in batches': 2,
    'B access tokens': 3,
    'B access tokens, in batches': 3,
    'C found gone': 1,
    'I claims': 3,
    'I claims, in batches': 3,
  });
});

it('finds two results in each other’s place', () => {
  const { story, ann, bob } = tellOfLogout();
  const [dead, living] = askBatch(story, 2000, [
    [ann, true],
    [bob, false],
  ]);
  expect(story.violations()).toEqual([`A${dead?.id}`, `B${living?.id}`]);
});

it('finds one result that is older than the request', () => {
  const { story, ann, bob } = tellOfLogout();
  const [dead] = askBatch(
    story,
    [1011, 1020],
    [
      [ann, true],
      [bob, true],
    ],
  );
  expect(story.violations()).toEqual([`A${dead?.id}`]);
});

it('takes either result of a request that began before the end was acknowledged', () => {
  for (const isActive of [true, false]) {
    const { story, ann, bob } = tellOfLogout();
    askBatch(
      story,
      [1009, 1020],
      [
        [bob, true],
        [ann, isActive],
      ],
    );
    expect(story.violations()).toEqual([]);
  }
});
