// Rules A and H of the chaos checker: every way to end something, and what may be answered before and after.
import { describe, expect, it } from 'vitest';

import { tellStory, type Pair, type Story, type When } from './checker-story.js';

/** Ends of a session and what they are called with. */
const ENDS: [string, (story: Story, pair: Pair, when: When, outcome?: 'ok' | 'unknown') => unknown][] = [
  [
    'logout',
    (story, pair, when, outcome = 'ok') => story.ask('logout', when, { token: pair.access.id, outcome }),
  ],
  [
    'revoke of a refresh token',
    (story, pair, when, outcome = 'ok') => story.ask('revoke', when, { token: pair.refresh.id, outcome }),
  ],
  [
    'end-session',
    (story, pair, when, outcome = 'ok') =>
      story.ask('end-session', when, { token: pair.access.id, sid: pair.sid, outcome }),
  ],
  [
    'logout-all',
    (story, pair, when, outcome = 'ok') =>
      story.ask('logout-all', when, { token: pair.access.id, exceptCurrent: false, outcome }),
  ],
  [
    'a new password',
    (story, pair, when, outcome = 'ok') =>
      story.ask('password', when, { user: pair.user, password: 1, outcome }),
  ],
  [
    'disable',
    (story, pair, when, outcome = 'ok') => story.ask('disable', when, { user: pair.user, outcome }),
  ],
  ['retire-key', (story, _pair, when, outcome = 'ok') => story.ask('retire-key', when, { outcome })],
];

describe.each(ENDS)('after %s', (_name, end) => {
  it('finds a token that is still active', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    end(story, ann, 200);
    const seen = story.introspect(ann.access, 211, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
    expect(story.check().counts.applied).toMatchObject({ A: 1, H: 0 });
  });

  it('finds a refresh that is answered', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    end(story, ann, 200);
    const { operation } = story.refresh(ann, 250);
    expect(story.violations()).toEqual([`A${operation.id}`]);
  });

  it('says nothing of an answer whose request began a millisecond before the acknowledgement', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    end(story, ann, 200);
    story.introspect(ann.access, [209, 260], true);
    story.introspect(ann.access, [209, 260], false);
    expect(story.violations()).toEqual([]);
  });

  it('takes either answer after one that was not answered', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    end(story, ann, 200, 'unknown');
    story.introspect(ann.access, 300, true);
    story.introspect(ann.access, 5000, false);
    expect(story.violations()).toEqual([]);
  });

  it('takes a refusal for what it is', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    end(story, ann, 200);
    story.introspect(ann.access, 300, false);
    story.refuse('session', ann.access, 300);
    story.refuse('refresh', ann.refresh, 300);
    expect(story.violations()).toEqual([]);
  });

  it('calls it gone after a kill if one lay between', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    end(story, ann, 200);
    story.kill(300);
    const seen = story.introspect(ann.access, 400, true);
    expect(story.violations()).toEqual([`H${seen.id}`]);
  });

  it('does not call it so where the kill came first', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.kill(150);
    end(story, ann, 200);
    const seen = story.introspect(ann.access, 400, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('finds a token that was active again after it had been found gone', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    end(story, ann, 200, 'unknown');
    story.introspect(ann.access, 300, false);
    const seen = story.introspect(ann.access, 311, true);
    expect(story.violations()).toEqual([`C${seen.id}`]);
    expect(story.check().counts.applied.C).toBe(1);
  });

  it('says nothing of two requests at once of which one found it gone', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    end(story, ann, 200, 'unknown');
    story.introspect(ann.access, 300, false);
    story.introspect(ann.access, 309, true);
    expect(story.violations()).toEqual([]);
  });

  it('finds a refusal that came before it was asked for', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const seen = story.introspect(ann.access, [150, 199], false);
    end(story, ann, 200);
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });
});

describe('rules A and H', () => {
  it('finds every way in which a dead token is treated as living', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const other = story.logIn(100);
    story.ask('logout', 200, { token: ann.access.id });
    const token = ann.access.id;
    const wrong = [
      story.ask('session', 15_200, { token, reissued: story.successorOf(ann.access, 15_200).id }),
      story.ask('logout-all', 300, { token, exceptCurrent: true, ended: 0 }),
      story.ask('end-session', 300, { token, sid: ann.sid }),
      story.refuse('end-session', ann.access, 300, 'not_found', { status: 404 }),
      story.refuse('refresh', ann.refresh, 300, 'refresh_superseded'),
      story.ask('list', 300, { token: other.access.id, sids: [ann.sid, other.sid], reissued: null }),
      story.refuse('session', ann.access, 15_200, 'invalid_token', {
        reissued: story.successorOf(ann.access, 15_200).id,
      }),
    ];
    const found = story.violations();
    expect(found).toEqual(expect.arrayContaining(wrong.map(({ id }) => `A${id}`)));
  });

  it('ends a lineage and what it is reissued as with its revocation, and no other', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const later = story.refresh(ann, 15_000);
    const reissued = story.successorOf(ann.access, 16_000);
    story.introspect(ann.access, 16_000, true, reissued);
    story.ask('revoke', 16_100, { token: ann.access.id });
    story.introspect(later.access, 16_200, true);
    const seen = story.introspect(reissued, 16_200, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('keeps the session that logs the others out, and ends those', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const other = story.logIn(100);
    story.ask('logout-all', 200, { token: ann.access.id, exceptCurrent: true, ended: 1 });
    story.introspect(ann.access, 300, true);
    const seen = story.introspect(other.access, 300, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('does not end a session by a call that another user or a later login has nothing to do with', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('logout-all', 200, { token: ann.access.id, exceptCurrent: false, ended: 1 });
    story.introspect(story.logIn(100, { user: 'bob' }).access, 300, true);
    story.introspect(story.logIn(211).access, 300, true);
    story.introspect(story.logIn([205, 220]).access, 300, true);
    expect(story.violations()).toEqual([]);
  });

  it('ends a session with the theft that was told', () => {
    const story = tellStory();
    const ann = story.logIn(100, { honest: false });
    const next = story.refresh(ann, 200);
    story.refuse('refresh', ann.refresh, 10_500, 'refresh_reused');
    const seen = story.introspect(next.access, 10_600, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('does not count an end that was refused', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const other = story.logIn(100, { user: 'bob' });
    story.refuse('end-session', other.access, 200, 'not_found', { status: 404, sid: ann.sid });
    story.introspect(ann.access, 300, true);
    expect(story.violations()).toEqual([]);
  });

  it('says nothing of a call that ends the session that it was made with', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('logout-all', 200, { token: ann.access.id, exceptCurrent: false, ended: 1 });
    expect(story.violations()).toEqual([]);
  });
});
