// Rules B and C of the chaos checker: nobody is turned away for nothing, and nothing that was found gone comes back.
import { describe, expect, it } from 'vitest';

import { tellStory } from './checker-story.js';

describe('rule B', () => {
  it('lets a token expire by the database’s clock, with what the clocks may differ', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.introspect(ann.access, [29_000, 29_998], false, story.successorOf(ann.access, 29_995));
    expect(story.violations()).toEqual([]);
  });

  it('finds a token that expired too early', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const seen = story.introspect(ann.access, [29_000, 29_997], false);
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });

  it('is not excused by an end if the answer carries a successor', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('logout', 200, { token: ann.access.id, outcome: 'unknown' });
    const reissued = story.successorOf(ann.access, 16_000);
    const seen = story.introspect(ann.access, 16_000, false, reissued);
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });

  it('is not excused by what ended before the session was opened, or another user’s', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('logout-all', 200, { token: ann.access.id, exceptCurrent: false, ended: 1 });
    story.ask('disable', 200, { user: 'bob' });
    const later = story.logIn(211);
    const seen = story.introspect(later.access, 300, false);
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });

  it('is excused by what came while the session was opened', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('logout-all', 200, { token: ann.access.id, exceptCurrent: false, ended: 1 });
    story.introspect(story.logIn([209, 230]).access, 300, false);
    expect(story.violations()).toEqual([]);
  });

  it('finds refusals of a bearer, and of a client that was never removed', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const wrong = [
      story.refuse('session', ann.access, 200),
      story.refuse('list', ann.access, 200),
      story.refuse('logout-all', ann.access, 200, 'invalid_token', { exceptCurrent: true }),
      story.refuse('end-session', ann.access, 200, 'invalid_token', { sid: ann.sid }),
      story.refuse('revoke', ann.access, 200, 'invalid_client'),
      story.refuse('introspect', ann.access, 200, 'invalid_client'),
      story.refuse('logout', ann.access, 200),
      story.refuse('end-session', ann.access, 200, 'not_found', { sid: ann.sid, status: 404 }),
    ];
    expect(story.violations().toSorted()).toEqual(wrong.map(({ id }) => `B${id}`).toSorted());
  });

  it('takes 429, 503 and a retired key for what they are', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.refuse('session', ann.access, 200, 'too_many_requests', { status: 429 });
    story.ask('session', 200, { token: ann.access.id, outcome: 'unknown', status: 503 });
    story.ask('retire-key', 300, { outcome: 'unknown' });
    story.refuse('logout', ann.access, 400);
    expect(story.violations()).toEqual([]);
  });

  it('finds a list that lacks a session', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.logIn(100);
    const seen = story.ask('list', 111, { token: ann.access.id, sids: [ann.sid] });
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });

  it('takes a list without a session that was opened meanwhile, may have ended, or is of another user', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.logIn(200);
    const gone = story.logIn(100);
    story.ask('logout', 150, { token: gone.access.id, outcome: 'unknown' });
    story.logIn(100, { user: 'bob' });
    story.ask('list', 210, { token: ann.access.id, sids: [ann.sid] });
    expect(story.violations()).toEqual([]);
  });

  it('takes a list that is cut off', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const sids = Array.from({ length: 1000 }, (_, n) => `unheard-of-${n}`);
    story.ask('list', 210, { token: ann.access.id, sids });
    expect(story.violations()).toEqual([]);
  });
});

describe('rule C', () => {
  it('finds a sibling of the lineage, a refresh and a list after the session was found gone', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const other = story.logIn(100);
    story.ask('logout', 200, { token: ann.access.id, outcome: 'unknown' });
    story.refuse('session', ann.access, 300);
    const wrong = [
      story.refresh(ann, 400).operation,
      story.ask('list', 400, { token: other.access.id, sids: [ann.sid, other.sid] }),
    ];
    expect(story.violations().toSorted()).toEqual(wrong.map(({ id }) => `C${id}`).toSorted());
  });

  it('follows from a list that lacks the session, and from a refresh token that is not known', () => {
    const story = tellStory();
    const [ann, bob] = [story.logIn(100), story.logIn(100)];
    for (const { access } of [ann, bob]) story.ask('logout', 200, { token: access.id, outcome: 'unknown' });
    story.ask('list', 300, { token: bob.access.id, sids: [bob.sid] });
    story.refuse('refresh', bob.refresh, 320);
    const wrong = [ann, bob].map(({ access }) => story.introspect(access, 400, true));
    expect(story.violations().toSorted()).toEqual(wrong.map(({ id }) => `C${id}`).toSorted());
  });

  it('does not take the end of a lineage for the end of its session', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('revoke', 200, { token: ann.access.id, outcome: 'unknown' });
    story.introspect(ann.access, 300, false);
    story.introspect(story.refresh(ann, 400).access, 500, true);
    expect(story.violations()).toEqual([]);
  });

  it('lets a token that has expired earn a successor, but not be accepted', () => {
    const story = tellStory();
    const ann = story.logIn(500);
    const reissued = story.successorOf(ann.access, 30_100);
    story.introspect(ann.access, [29_995, 30_010], false, reissued);
    story.introspect(ann.access, 30_100, false, reissued);
    story.introspect(reissued, 30_200, true);
    expect(story.violations()).toEqual([]);
    const again = story.introspect(ann.access, [30_015, 30_016], true, reissued);
    expect(story.violations()).toContain(`G${again.id}`);
  });
});
