// Rules E and F of the chaos checker, and G where it is about `/refresh`: replays, theft, and tokens past their time.
import { describe, expect, it } from 'vitest';

import { tellStory } from './checker-story.js';

describe('rules E and F', () => {
  it.each([
    ['E', true],
    ['F', false],
  ])('finds theft within the window (%s)', (rule, honest) => {
    const story = tellStory();
    const ann = story.logIn(100, { honest });
    story.refresh(ann, 1500);
    const wrong = story.refuse('refresh', ann.refresh, [11_000, 11_495], 'refresh_reused');
    expect(story.violations()).toEqual([`${rule}${wrong.id}`]);
  });

  it('takes theft that may have come after the window', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.refresh(ann, 1500);
    story.refuse('refresh', ann.refresh, [11_000, 11_496], 'refresh_reused');
    expect(story.violations()).toEqual([]);
  });

  it('finds theft by the first to use a token', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const wrong = story.refuse('refresh', ann.refresh, 20_000, 'refresh_reused');
    expect(story.violations()).toEqual([`E${wrong.id}`]);
  });

  it('takes theft where an earlier request without an answer may have spent the token', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('refresh', 1000, { token: ann.refresh.id, outcome: 'unknown' });
    story.refuse('refresh', ann.refresh, 12_000, 'refresh_reused');
    expect(story.violations()).toEqual([]);
  });

  it('takes a later rotation of the session for its last one', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.refresh(story.refresh(ann, 1500), 9000);
    const wrong = story.refuse('refresh', ann.refresh, 15_000, 'refresh_reused');
    expect(story.violations()).toEqual([`E${wrong.id}`]);
  });

  it('finds a late replay that is answered or called superseded', () => {
    const story = tellStory();
    const ann = story.logIn(100, { honest: false });
    story.refresh(ann, [1200, 1210]);
    const wrong = story.refresh(ann, 11_216, 1205);
    expect(story.violations()).toEqual([`F${wrong.operation.id}`]);

    const other = tellStory();
    const bob = other.logIn(100, { honest: false });
    other.refresh(other.refresh(bob, 1200), 1300);
    const late = other.refuse('refresh', bob.refresh, 11_400, 'refresh_superseded');
    expect(other.violations()).toEqual([`F${late.id}`]);
  });

  it('takes a replay at the edge of the window either way', () => {
    const story = tellStory();
    const ann = story.logIn(100, { honest: false });
    story.refresh(ann, [1200, 1210]);
    story.refresh(ann, 11_214, 1205);
    expect(story.violations()).toEqual([]);
  });

  it('takes a replay that another rotation, without an answer, may have brought within the window', () => {
    const story = tellStory();
    const ann = story.logIn(100, { honest: false });
    const next = story.refresh(ann, 1200);
    story.ask('refresh', 5000, { token: next.refresh.id, outcome: 'unknown' });
    story.refuse('refresh', ann.refresh, 12_000, 'refresh_superseded');
    expect(story.violations()).toEqual([]);
  });

  it('finds a grandparent that is forgiven', () => {
    const story = tellStory();
    const ann = story.logIn(100, { honest: false });
    const first = story.refresh(ann, 1200);
    story.refresh(first, 1300);
    const wrong = story.refresh(ann, 1400, 1205);
    expect(story.violations()).toEqual([`F${wrong.operation.id}`]);
  });

  it('excuses a session that is gone if a straggler may have been theft, and only from when it may', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('refresh', 1000, { token: ann.refresh.id, outcome: 'unknown' });
    const next = story.refresh(ann, 1500);
    const early = story.introspect(next.access, 10_900, false);
    story.introspect(next.access, 11_600, false);
    expect(story.violations()).toEqual([`B${early.id}`]);
  });
});

describe('an outage', () => {
  /** From the last beat at 5 s to the first one after it, which all see 30 ms later. */
  const OUTAGE = { until: 5000, since: 12_000 };

  /** A session that was rotated at a time of the story, and beats before and after the outage. */
  function tellOutage(rotatedMs: number, { honest = true, outage = OUTAGE } = {}) {
    const story = tellStory();
    story.beat(0, outage.until);
    story.beat(outage.since, 40_000, outage);
    const ann = story.logIn(100, { honest });
    const next = story.refresh(ann, [rotatedMs, rotatedMs + 10]);
    return { story, ann, next };
  }

  it('lengthens a window that it cuts off: theft is found there, and a successor is right', () => {
    const { story, ann } = tellOutage(1500);
    const wrong = story.refuse('refresh', ann.refresh, 21_900, 'refresh_reused');
    expect(story.violations()).toEqual([`E${wrong.id}`]);

    const right = tellOutage(1500);
    right.story.refresh(right.ann, 21_900, 1505);
    expect(right.story.violations()).toEqual([]);
    expect(right.story.check().counts.judged).toMatchObject({ 'E replays after an outage': 1 });
  });

  it('lengthens it by its own end and the window, and no further', () => {
    const { story, ann } = tellOutage(1500);
    const wrong = story.refresh(ann, 22_020, 1505);
    expect(story.violations()).toEqual([`F${wrong.operation.id}`]);

    const right = tellOutage(1500);
    right.story.refuse('refresh', right.ann.refresh, 22_020, 'refresh_reused');
    expect(right.story.violations()).toEqual([]);
    expect(right.story.check().counts.judged).toMatchObject({ 'F late after an outage': 1 });
  });

  it.each([
    ['that had run out before it', 1500, { until: 11_600, since: 18_000 }],
    ['of a rotation after it', 12_500, OUTAGE],
  ])('does not lengthen one %s', (_, rotatedMs, outage) => {
    const { story, ann } = tellOutage(rotatedMs, { honest: false, outage });
    const wrong = story.refresh(ann, rotatedMs + 19_000, rotatedMs + 5);
    expect(story.violations()).toEqual([`F${wrong.operation.id}`]);
    const right = tellOutage(rotatedMs, { honest: false, outage });
    right.story.refuse('refresh', right.ann.refresh, rotatedMs + 19_000, 'refresh_reused');
    expect(right.story.violations()).toEqual([]);
  });

  it('leaves either answer where the window may have run out as it began', () => {
    for (const isTheft of [true, false]) {
      const { story, ann } = tellOutage(1500, { outage: { until: 11_505, since: 18_000 } });
      if (isTheft) story.refuse('refresh', ann.refresh, 20_000, 'refresh_reused');
      else story.refresh(ann, 20_000, 1505);
      expect(story.violations()).toEqual([]);
    }
  });

  it('hides how long the window is: theft and a successor are found, superseded is right', () => {
    const outage = { until: 12_000, since: 25_000 };
    const theft = tellOutage(1500, { honest: false, outage });
    const wrong = theft.story.refuse('refresh', theft.ann.refresh, 17_020, 'refresh_reused');
    const successor = tellOutage(1500, { honest: false, outage });
    const other = successor.story.refresh(successor.ann, 17_020, 1505);
    expect([...theft.story.violations(), ...successor.story.violations()]).toEqual([
      `F${wrong.id}`,
      `F${other.operation.id}`,
    ]);

    const { story, ann } = tellOutage(1500, { honest: false, outage });
    story.refuse('refresh', ann.refresh, 17_020, 'refresh_superseded');
    expect(story.violations()).toEqual([]);
    expect(story.check().counts.judged).toMatchObject({ 'F late in an outage': 1 });
  });

  it('hides nothing of a current token', () => {
    const { story, next } = tellOutage(1500, { outage: { until: 12_000, since: 25_000 } });
    const wrong = story.refuse('refresh', next.refresh, 17_020, 'refresh_superseded');
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it('is heard of when its last beat is visible: until the next one is noted, either answer is right', () => {
    const outage = { until: 12_000, since: 25_000 };
    for (const error of ['refresh_superseded', 'refresh_reused']) {
      const { story, ann } = tellOutage(1500, { honest: false, outage });
      story.refuse('refresh', ann.refresh, 25_500, error);
      expect(story.violations()).toEqual([]);
    }
    const { story, ann } = tellOutage(1500, { honest: false, outage });
    const wrong = story.refuse('refresh', ann.refresh, 26_020, 'refresh_superseded');
    expect(story.violations()).toEqual([`F${wrong.id}`]);
  });

  it('is no excuse where beats are less than five seconds apart', () => {
    const story = tellStory();
    story.beat(0, 10_000);
    story.beat(14_900, 30_000);
    const ann = story.logIn(100, { honest: false });
    story.refresh(ann, 1500);
    const wrong = story.refuse('refresh', ann.refresh, 13_900, 'refresh_superseded');
    expect(story.violations()).toEqual([`F${wrong.id}`]);
  });
});

describe('rule G', () => {
  it('finds an expired token rotated', () => {
    const story = tellStory();
    const late = story.refresh(story.logIn(100), 25_010);
    expect(story.violations()).toEqual([`G${late.operation.id}`]);
  });

  it('finds a session carried past its end', () => {
    const story = tellStory();
    const third = story.refresh(story.refresh(story.logIn(100), 24_000), 48_000);
    const late = story.refresh(third, 60_010);
    expect(story.violations()).toEqual([`G${late.operation.id}`]);
  });

  it('takes a retry past exp of a token that was spent before', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.refresh(ann, 24_500);
    story.refresh(ann, 26_000, 24_505);
    expect(story.violations()).toEqual([]);
  });

  it('finds a successor by another clock', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const wrong = story.refresh(ann, 2000, 8000);
    expect(story.violations()).toEqual([`G${wrong.operation.id}`]);
  });
});
