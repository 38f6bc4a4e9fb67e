// The chaos checker about a user's own new password: one session in the place of the one that asked, for all who repeat the request.
import { describe, expect, it } from 'vitest';

import { tellStory, type Pair, type Story } from './checker-story.js';

/** Access tokens that outlive the window. */
const LONG = { accessTtl: 40, refreshTtl: 50, reissueMax: 0 };

const CHANGE = [0, 1] as const;

const refused = (error: string) => ({ outcome: 'refused', status: 401, error }) as const;

/** A session, and a request for a new password that nobody answered. */
function tellLost() {
  const story = tellStory(LONG);
  const ann = story.logIn(100);
  story.changePassword(ann, [200, 500], ...CHANGE, { outcome: 'unknown' });
  return { story, ann };
}

/** The same, with an answer. */
function tellRenewed() {
  const story = tellStory(LONG);
  const ann = story.logIn(100);
  return { story, ann, next: story.renew(ann, 200, CHANGE) };
}

describe('the session in the place of another', () => {
  it('lives on, and is renewed and listed as any', () => {
    const { story, next } = tellRenewed();
    story.introspect(next.access, 300, true);
    story.refresh(next, 400);
    story.list(next, 500, [next.sid]);
    expect(story.violations()).toEqual([]);
  });

  it.each([
    [
      'an access token is turned away',
      (story: Story, next: Pair) => story.introspect(next.access, 1000, false),
    ],
    ['a refresh token is', (story: Story, next: Pair) => story.refuse('refresh', next.refresh, 1000)],
    ['a list lacks it', (story: Story) => story.list(story.logIn(900, { password: 1 }), 1000, [])],
  ])('has its rights: it is found when %s', (_, ask) => {
    const { story, next } = tellRenewed();
    const wrong = ask(story, next);
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it('is ended by what ends all sessions later, and by nothing that came before', () => {
    const { story, next } = tellRenewed();
    story.ask('logout-all', 400, { token: next.access.id });
    const wrong = story.introspect(next.access, 500, true);
    expect(story.violations()).toEqual([`A${wrong.id}`]);
  });

  it('ends when the other one would have, also when both were opened in different seconds', () => {
    const story = tellStory(LONG);
    const ann = story.logIn(100);
    const right = story.renew(ann, 5000, CHANGE);
    expect(right.refresh.claims['session_exp']).toBe(ann.refresh.claims['session_exp']);
    expect(story.violations()).toEqual([]);

    const other = tellStory(LONG);
    const eve = other.logIn(100);
    const later = other.logIn(4000);
    const wrong = other.renew(later, 5000, CHANGE, undefined, { token: eve.access.id });
    expect(other.violations()).toEqual([`G${wrong.operation.id}`]);
  });

  it('is of the same user', () => {
    const story = tellStory(LONG);
    const eve = story.logIn(100, { user: 'eve' });
    const bob = story.logIn(100, { user: 'bob' });
    const { claims } = eve.access;
    const whose = { token: eve.access.id, user: 'eve', sub: String(claims['sub']) };
    const wrong = story.renew(bob, 2500, CHANGE, undefined, whose);
    expect(story.violations()).toEqual([`I${wrong.operation.id}`]);
  });

  it('is another one than the session that asked', () => {
    const story = tellStory(LONG);
    const ann = story.logIn(100);
    const wrong = story.renew(ann, 200, CHANGE, ann);
    expect(story.violations()).toEqual(expect.arrayContaining([`D${wrong.operation.id}`]));
  });
});

describe('a repetition', () => {
  it('gets the same session again, and ends neither that one nor those opened since', () => {
    const { story, ann, next } = tellRenewed();
    const other = story.logIn(300, { password: 1 });
    story.renew(ann, 500, CHANGE, next);
    story.introspect(next.access, 600, true);
    story.introspect(other.access, 600, true);
    expect(story.violations()).toEqual([]);
    expect(story.check().counts.judged).toMatchObject({ 'D repeated changes of password': 1 });
  });

  it('gets the session that an answer which was lost has opened', () => {
    const { story, ann } = tellLost();
    const next = story.renew(ann, 800, CHANGE);
    const wrong = [story.introspect(ann.access, 900, true), story.introspect(next.access, 900, false)];
    expect(story.violations().toSorted()).toEqual([`A${wrong[0]?.id}`, `B${wrong[1]?.id}`]);
  });

  it('gets no second session', () => {
    const { story, ann } = tellRenewed();
    const wrong = story.renew(ann, 500, CHANGE);
    expect(story.violations()).toEqual([`D${wrong.operation.id}`]);
  });

  it('is answered while the window is open, and no longer', () => {
    for (const [at, rule] of [
      [10_190, ''],
      [10_240, 'A'],
    ] as const) {
      const { story, ann, next } = tellRenewed();
      const { operation } = story.renew(ann, at, CHANGE, next);
      expect(story.violations()).toEqual(rule === '' ? [] : [`${rule}${operation.id}`]);
    }
  });

  describe('after an outage that cut its window off', () => {
    /** From the last beat at 5 s to the first one after it. */
    const OUTAGE = { until: 5000, since: 12_000 };

    function tellOutage() {
      const told = tellRenewed();
      told.story.beat(0, OUTAGE.until);
      told.story.beat(OUTAGE.since, 40_000, OUTAGE);
      return told;
    }

    it('is answered within a window from its end, and no longer', () => {
      for (const [at, rule] of [
        [21_900, ''],
        [22_060, 'A'],
      ] as const) {
        const { story, ann, next } = tellOutage();
        const { operation } = story.renew(ann, at, CHANGE, next);
        expect(story.violations()).toEqual(rule === '' ? [] : [`${rule}${operation.id}`]);
      }
    });

    it('is not refused there, and refresh tokens of the old session are superseded', () => {
      const { story, ann } = tellOutage();
      const wrong = story.changePassword(ann, 21_900, ...CHANGE, refused('invalid_token'));
      story.refuse('refresh', ann.refresh, 21_900, 'refresh_superseded');
      expect(story.violations()).toEqual([`B${wrong.id}`]);
    });
  });

  it.each(['invalid_token', 'invalid_credentials'])('is not refused with %s within the window', (error) => {
    const { story, ann } = tellRenewed();
    const wrong = story.changePassword(ann, 5000, ...CHANGE, refused(error));
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it.each([
    ['after it', 10_250, undefined],
    ['when the new session may have ended', 5000, 'logout'],
  ])('may be refused %s', (_, at, kind) => {
    const { story, ann, next } = tellRenewed();
    if (kind !== undefined) story.ask(kind, 1000, { token: next.access.id });
    story.changePassword(ann, at, ...CHANGE, refused('invalid_token'));
    expect(story.violations()).toEqual([]);
  });

  it('may be refused when the new session has ended all others: that is another end of the old one', () => {
    const { story, ann, next } = tellRenewed();
    story.ask('logout-all', 1000, { token: next.access.id, exceptCurrent: true, ended: 0 });
    story.changePassword(ann, 5000, ...CHANGE, refused('invalid_token'));
    expect(story.violations()).toEqual([]);
  });

  it('with another new password is refused, and proves nothing', () => {
    const { story, ann } = tellRenewed();
    story.changePassword(ann, 500, 1, 2, refused('invalid_credentials'));
    story.changePassword(ann, 600, 0, 3, refused('invalid_credentials'));
    expect(story.violations()).toEqual([]);

    const wrong = tellRenewed();
    const { operation } = wrong.story.renew(wrong.ann, 500, [0, 2]);
    expect(wrong.story.violations()).toEqual([`A${operation.id}`]);
  });
});
