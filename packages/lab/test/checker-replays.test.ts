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
