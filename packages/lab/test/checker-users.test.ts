// The chaos checker about users who are deleted, exported and added: who is gone is nowhere any more, and nobody else is.
import { describe, expect, it } from 'vitest';

import type { Operation } from '../chaos/history.js';
import { tellStory } from './checker-story.js';

const REFUSED = { outcome: 'refused', status: 404, error: 'not_found' } as const;
const TURNED_AWAY = { outcome: 'refused', status: 401, error: 'invalid_credentials' } as const;
const TAKEN = { outcome: 'refused', status: 409, error: 'username_taken' } as const;

describe('a deleted user', () => {
  it('has no session from the answer on, whichever came first, the login or the deletion', () => {
    const story = tellStory();
    const before = story.logIn(100);
    const beside = story.logIn([195, 230]);
    story.ask('delete', [190, 240], { user: 'ann' });
    story.introspect(before.access, [239, 260], true);
    story.introspect(beside.access, 250, false);
    const seen = [story.introspect(before.access, 300, true), story.introspect(beside.access, 400, true)];
    expect(story.violations()).toEqual(seen.map(({ id }) => `A${id}`));
  });

  it('is not let in again, also where somebody enables the name', () => {
    const story = tellStory();
    story.ask('delete', 100, { user: 'ann' });
    story.ask('login', 200, { user: 'ann', password: 0, ...TURNED_AWAY });
    story.ask('enable', 300, { user: 'ann', outcome: 'unknown' });
    const { operation } = story.logIn(400);
    expect(story.violations()).toEqual([`A${operation.id}`]);
    expect(story.check().counts.judged['A logins of the deleted']).toBe(1);
  });

  it('may have been deleted without an answer, for as long as that may still be decided', () => {
    const story = tellStory({ accessTtl: 59, reissueMax: 0 });
    const ann = story.logIn(100);
    story.ask('delete', 200, { user: 'ann', outcome: 'unknown' });
    story.introspect(ann.access, 300, true);
    story.introspect(ann.access, 20_000, false);
    expect(story.violations()).toEqual([]);

    const later = tellStory({ accessTtl: 59, reissueMax: 0 });
    const bob = later.logIn(100);
    later.ask('delete', 200, { user: 'ann', outcome: 'unknown' });
    later.introspect(bob.access, 31_000, true);
    const seen = later.introspect(bob.access, 32_000, false);
    expect(later.violations()).toEqual([`B${seen.id}`]);
  });

  it('ends nobody else', () => {
    const story = tellStory();
    const bob = story.logIn(100, { user: 'bob' });
    story.ask('delete', 200, { user: 'ann' });
    const seen = story.introspect(bob.access, 300, false);
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });

  it('has given the name to somebody else, who is let in', () => {
    const story = tellStory();
    const old = story.logIn(100);
    story.ask('delete', 200, { user: 'ann' });
    story.ask('add-user', 300, { user: 'ann (2)', username: 'ann', heir: 'ann', sub: 'id' });
    const heir = story.logIn(400, { user: 'ann (2)' });
    // Whose token it is, the name does not say.
    Object.assign(heir.access.claims, { username: 'ann' });
    Object.assign(heir.operation, { username: 'ann' });
    story.introspect(heir.access, 500, true);
    story.introspect(old.access, 600, false);
    expect(story.violations()).toEqual([]);
    const refused = story.introspect(heir.access, 700, false);
    expect(story.violations()).toEqual([`B${refused.id}`]);
  });
});

describe.each(['export', 'scope'])('%s', (kind) => {
  const about = { user: 'ann', scope: 'read' };

  it('finds whom nobody has deleted', () => {
    const story = tellStory();
    story.ask(kind, 100, about);
    const lost = story.ask(kind, 200, { ...about, ...REFUSED });
    expect(story.violations()).toEqual([`B${lost.id}`]);
  });

  it('finds or misses whoever is being deleted, and nobody afterwards', () => {
    const story = tellStory();
    story.ask('delete', [200, 300], { user: 'ann' });
    story.ask(kind, 250, about);
    story.ask(kind, 260, { ...about, ...REFUSED });
    story.ask(kind, 400, { ...about, ...REFUSED });
    const found = story.ask(kind, 500, about);
    expect(story.violations()).toEqual([`A${found.id}`]);
  });
});

it('an export shows the sessions of the user, and no others', () => {
  const story = tellStory();
  const ann = story.logIn(100);
  const bob = story.logIn(200, { user: 'bob' });
  story.ask('export', 300, { user: 'ann', sids: [ann.sid, 'one whose login was not answered'] });
  const wrong = story.ask('export', 400, { user: 'ann', sids: [ann.sid, bob.sid] });
  expect(story.violations()).toEqual([`I${wrong.id}`]);
});

describe('a name', () => {
  const NEXT: Partial<Operation> = { user: 'ann (2)', username: 'ann', heir: 'ann' };

  it('is free from the answer to the deletion on', () => {
    const story = tellStory();
    story.ask('delete', [100, 200], { user: 'ann' });
    story.ask('add-user', [150, 190], { ...NEXT, ...TAKEN });
    const refused = story.ask('add-user', 300, { ...NEXT, ...TAKEN });
    expect(story.violations()).toEqual([`B${refused.id}`]);
  });

  it('may have been taken by a request that nobody answered', () => {
    const story = tellStory();
    story.ask('delete', 100, { user: 'ann' });
    story.ask('add-user', 300, { ...NEXT, outcome: 'unknown' });
    story.ask('add-user', 400, { ...NEXT, ...TAKEN });
    expect(story.violations()).toEqual([]);
  });

  it('is not given while somebody has it', () => {
    const story = tellStory();
    const early = story.ask('add-user', 100, NEXT);
    story.ask('delete', 200, { user: 'ann' });
    expect(story.violations()).toEqual([`A${early.id}`]);
  });

  it('that nobody ever had is free', () => {
    const story = tellStory();
    const refused = story.ask('add-user', 100, { user: 'eve', ...TAKEN });
    expect(story.violations()).toEqual([`B${refused.id}`]);
  });
});
