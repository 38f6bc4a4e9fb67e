// Rules A and B of the chaos checker for logins: passwords that change, users that are disabled, and logins in flight.
import { expect, it } from 'vitest';

import { tellStory } from './checker-story.js';

it('finds a session that an old password opened after the new one was acknowledged', () => {
  const story = tellStory();
  story.ask('password', 100, { user: 'ann', password: 1 });
  const { operation } = story.logIn(111, { password: 0 });
  expect(story.violations()).toEqual([`A${operation.id}`]);
});

it('finds a session of an old password that survives a new one set while it was opened', () => {
  const story = tellStory();
  story.ask('password', 100, { user: 'ann', password: 1 });
  const ann = story.logIn([95, 300], { password: 0 });
  story.introspect(ann.access, 310, false);
  const seen = story.introspect(ann.access, 320, true);
  expect(story.violations()).toEqual([`A${seen.id}`]);
});

it('lets a session of the new password live that was opened while it was set', () => {
  const story = tellStory();
  story.ask('password', 100, { user: 'ann', password: 1 });
  const ann = story.logIn([95, 300], { password: 1 });
  story.introspect(ann.access, 310, true);
  expect(story.violations()).toEqual([]);
});

it('takes either end for a session of the old password while the new one is not acknowledged', () => {
  const story = tellStory();
  story.ask('password', 100, { user: 'ann', password: 1, outcome: 'unknown' });
  story.introspect(story.logIn(200, { password: 0 }).access, 300, true);
  story.introspect(story.logIn(200, { password: 1 }).access, 300, true);
  story.refuse('session', story.logIn(200, { password: 0 }).access, 400);
  expect(story.violations()).toEqual([]);
});

it('lets the old password count again when it has been set again', () => {
  const story = tellStory();
  story.ask('password', 100, { user: 'ann', password: 1 });
  story.ask('password', 200, { user: 'ann', password: 0 });
  story.introspect(story.logIn(300, { password: 0 }).access, 400, true);
  expect(story.violations()).toEqual([]);
});

it('finds a login with a password that was never set, or not yet', () => {
  const story = tellStory();
  const never = story.logIn(100, { user: 'bob', password: 7 });
  const early = story.logIn(100, { user: 'ann', password: 1 });
  story.ask('password', 200, { user: 'ann', password: 1 });
  expect(story.violations()).toEqual([`A${never.operation.id}`, `A${early.operation.id}`]);
});

it('finds a login of a disabled user, and not of one who may have been enabled', () => {
  const story = tellStory();
  story.ask('disable', 100, { user: 'ann' });
  const { operation } = story.logIn(200);
  story.ask('enable', [305, 320], { user: 'ann', outcome: 'unknown' });
  story.logIn(300);
  expect(story.violations()).toEqual([`A${operation.id}`]);
});

it('finds a session that survives a disabling while it was opened, unless the user may have been enabled since', () => {
  const story = tellStory();
  story.ask('disable', 100, { user: 'ann' });
  const ann = story.logIn([90, 300]);
  const seen = story.introspect(ann.access, 310, true);
  expect(story.violations()).toEqual([`A${seen.id}`]);

  const other = tellStory();
  other.ask('disable', 100, { user: 'ann' });
  other.ask('enable', 120, { user: 'ann' });
  other.introspect(other.logIn([90, 300]).access, 310, true);
  expect(other.violations()).toEqual([]);
});

it('does not let enabling bring a session back', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  story.ask('disable', 200, { user: 'ann' });
  story.ask('enable', 300, { user: 'ann' });
  const seen = story.introspect(ann.access, 400, true);
  expect(story.violations()).toEqual([`A${seen.id}`]);
});

const refusal = { outcome: 'refused', status: 401, error: 'invalid_credentials' } as const;

it('finds the right password refused', () => {
  const story = tellStory();
  const first = story.ask('login', 100, { user: 'ann', password: 0, ...refusal });
  story.ask('password', 200, { user: 'ann', password: 1 });
  story.ask('disable', 300, { user: 'ann' });
  story.ask('enable', 400, { user: 'ann' });
  const second = story.ask('login', 411, { user: 'ann', password: 1, ...refusal });
  expect(story.violations()).toEqual([`B${first.id}`, `B${second.id}`]);
});

it('takes a refusal of a wrong password, of a disabled user, and by a limit', () => {
  const story = tellStory();
  story.ask('password', 100, { user: 'ann', password: 1 });
  story.ask('login', 200, { user: 'ann', password: 0, ...refusal });
  story.ask('disable', 300, { user: 'ann' });
  story.ask('login', 400, { user: 'ann', password: 1, ...refusal });
  story.ask('login', 50, { user: 'bob', password: 0, ...refusal, status: 429, error: 'too_many_requests' });
  expect(story.violations()).toEqual([]);
});

it.each([
  ['a new password', 'password', { user: 'ann', password: 1 }],
  ['disabling', 'disable', { user: 'ann' }],
  ['a retired key', 'retire-key', {}],
])('takes a refusal of a login that met %s on its way', (_name, kind, members) => {
  const story = tellStory();
  story.ask(kind, [100, 201], members);
  story.ask('login', 200, { user: 'ann', password: 0, ...refusal });
  expect(story.violations()).toEqual([]);
});

it('takes a refusal of a login that met a logout of everywhere else on its way', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  story.ask('logout-all', 195, { token: ann.access.id, exceptCurrent: true, ended: 0 });
  story.ask('login', 200, { user: 'ann', password: 0, ...refusal });
  expect(story.violations()).toEqual([]);
});
