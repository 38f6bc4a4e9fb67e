// The chaos checker about passwords that are given once more: whose time is new, and where `max_age` is to say no.
import { expect, it } from 'vitest';

import type { Members, Pair, Story } from './checker-story.js';
import { tellStory } from './checker-story.js';

const TOO_OLD = 'insufficient_user_authentication';

const askFor = (story: Story, { access }: Pair, when: number, maxAge: number, members: Members = {}) =>
  story.ask('session', when, { token: access.id, maxAge, reissued: null, ...members });
const tooOld: Members = { outcome: 'refused', status: 401, error: TOO_OLD };

it('takes a time that is new, also in what that token is reissued as', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const { access } = story.confirm(ann, 5000);
  expect(access.claims['auth_time']).toBe(Number(ann.access.claims['auth_time']) + 5);
  story.introspect(access, 6000, true);
  story.introspect(ann.access, 6000, true);
  story.introspect(access, 22_000, true, story.successorOf(access, 22_000));
  expect(story.violations()).toEqual([]);
  expect(story.check().counts.judged).toMatchObject({ 'G step-ups': 1 });
});

it.each([
  ['auth_time', 0],
  ['auth_time', -1],
  ['session_exp', 1],
  ['exp', -1],
] as const)('finds a token that tells another %s', (claim, more) => {
  const story = tellStory();
  const ann = story.logIn(100);
  const { operation, access } = story.confirm(ann, 5000);
  const before: Record<string, unknown> = { ...ann.access.claims, exp: access.claims['exp'] };
  const claims = { ...access.claims, [claim]: Number(before[claim]) + more };
  operation.access = story.tokenOf(claims, 'at+jwt').id;
  expect(story.violations()).toEqual([`G${operation.id}`]);
});

it('finds the new time in what comes of a refresh', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const { access: stepped } = story.confirm(ann, 5000);
  const { operation, ...next } = story.refresh(ann, 6000);
  story.introspect(next.access, 6500, true);
  expect(story.violations()).toEqual([]);
  expect(story.check().counts.judged).toMatchObject({ 'G refreshes after a step-up': 1 });
  const claims = { ...next.access.claims, auth_time: Number(stepped.claims['auth_time']) };
  operation.access = story.tokenOf(claims, 'at+jwt').id;
  expect(story.violations()).toEqual([`G${operation.id}`]);
});

it('finds a no that is said too early, and a yes too late', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  askFor(story, ann, 4000, 4);
  askFor(story, ann, 4000, 3, tooOld);
  const wrong = [askFor(story, ann, 4000, 5, tooOld), askFor(story, ann, 4000, 3)];
  // The fifth second is over within the bracket.
  askFor(story, ann, 4995, 5);
  askFor(story, ann, 4995, 5, tooOld);
  expect(story.violations()).toEqual(wrong.map(({ id }) => `G${id}`));
});

it('says of a token that its password is too old only where it lives', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  story.ask('logout', 200, { token: ann.access.id });
  const wrong = askFor(story, ann, 4000, 1, tooOld);
  expect(story.violations()).toEqual([`A${wrong.id}`]);
});

it('takes no password that was replaced, and refuses none that is in force', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const refused: Members = { outcome: 'refused', status: 401, error: 'invalid_credentials' };
  story.ask('enable', 200, { user: 'ann' });
  const wrong = story.ask('reauthenticate', 300, {
    token: ann.access.id,
    user: 'ann',
    proved: 0,
    ...refused,
  });
  expect(story.violations()).toEqual([`B${wrong.id}`]);
  story.ask('password', 400, { user: 'ann', password: 1 });
  const next = story.logIn(500, { password: 1 });
  const { operation } = story.confirm(next, 600, { proved: 0 });
  expect(story.violations()).toEqual([`B${wrong.id}`, `A${operation.id}`]);
});

it('is turned away with a token that is dead', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const early = story.refuse('reauthenticate', ann.access, 150);
  expect(story.violations()).toEqual([`B${early.id}`]);
  story.ask('logout', 200, { token: ann.access.id });
  const { operation } = story.confirm(ann, 300);
  expect(story.violations()).toEqual([`A${operation.id}`, `B${early.id}`]);
});
