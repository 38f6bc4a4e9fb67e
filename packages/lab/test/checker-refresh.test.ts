// Rule D of the chaos checker, and B where it is about `/refresh`: one successor for each parent, and none that is lost.
import { describe, expect, it } from 'vitest';

import { tellStory } from './checker-story.js';

describe('rule D', () => {
  it('finds a second successor', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.refresh(ann, [990, 1050], 1010);
    const second = story.refresh(ann, [985, 1050], 995);
    expect(story.violations()).toEqual([`D${second.operation.id}`]);
    expect(story.check().counts.applied.D).toBe(1);
  });

  it('takes the same successor as often as it is answered', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.refresh(ann, 1000);
    story.refresh(ann, 2500, 1005);
    story.refresh(ann, 4500, 1005);
    expect(story.violations()).toEqual([]);
    expect(story.check().counts.applied).toMatchObject({ D: 2, E: 2 });
  });

  it.each([
    ['EdDSA', 'D'],
    ['ES256', ''],
  ])('holds the same claims in other bytes against %s (%s)', (alg, rule) => {
    const story = tellStory();
    const ann = story.logIn(100);
    const { refresh, operation: first } = story.refresh(ann, 1000);
    const { operation: again } = story.refresh(ann, 2500, 1005);
    first.refresh = story.tokenOf(refresh.claims, 'rt+jwt', { alg, signature: 'one' }).id;
    again.refresh = story.tokenOf(refresh.claims, 'rt+jwt', { alg, signature: 'other' }).id;
    expect(story.violations()).toEqual(rule === '' ? [] : [`${rule}${again.id}`]);
  });

  // Seed 101 of the commit form: a slow connection kept an answer until the key had been retired.
  it.each([
    [2400, ''],
    [2600, 'D'],
  ])('takes other bytes where a key was retired before the answer came (%i)', (retiredAt, rule) => {
    const story = tellStory();
    const ann = story.logIn(100);
    const { refresh, operation: first } = story.refresh(ann, 1000);
    const { operation: again } = story.refresh(ann, [2300, 2500], 1005);
    story.ask('retire-key', retiredAt, { replica: 'operator' });
    first.refresh = story.tokenOf(refresh.claims, 'rt+jwt', { signature: 'one' }).id;
    again.refresh = story.tokenOf(refresh.claims, 'rt+jwt', { signature: 'other' }).id;
    expect(story.violations()).toEqual(rule === '' ? [] : [`${rule}${again.id}`]);
  });

  it('finds a successor of another generation', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const second = story.refresh(story.refresh(ann, 1000), 2000);
    const wrong = story.refresh(second, 2500);
    wrong.operation.token = ann.refresh.id;
    expect(story.violations()).toEqual([`D${wrong.operation.id}`]);
  });

  it('finds an access token that was answered before', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const first = story.refresh(ann, 1000);
    const again = story.refresh(ann, 1015, 1005);
    again.operation.access = first.access.id;
    expect(story.violations()).toEqual([`D${again.operation.id}`]);
  });

  it('finds a successor that is lost', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('refresh', 200, { token: ann.refresh.id, outcome: 'unknown' });
    const lost = story.refuse('refresh', ann.refresh, 300);
    expect(story.violations()).toEqual([`D${lost.id}`]);
  });

  it('takes a parent that is refused when its session may have ended', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('refresh', 200, { token: ann.refresh.id, outcome: 'unknown' });
    story.ask('logout', [309, 400], { token: ann.refresh.id });
    story.refuse('refresh', ann.refresh, 300);
    expect(story.violations()).toEqual([]);
  });
});

describe('rule B', () => {
  it('finds the current token refused', () => {
    const story = tellStory();
    const next = story.refresh(story.logIn(100), 1000);
    const wrong = story.refuse('refresh', next.refresh, 2000);
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it('takes the refusal of a current token that may have expired', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.refuse('refresh', ann.refresh, [24_000, 24_998]);
    expect(story.violations()).toEqual([]);
  });

  it('does not take expiry for an excuse when the token was spent', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.refresh(ann, 24_500);
    const wrong = story.refuse('refresh', ann.refresh, 26_000);
    expect(story.violations()).toEqual([`D${wrong.id}`]);
  });

  it('finds a token called superseded that has no grandchild', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const current = story.refuse('refresh', ann.refresh, 500, 'refresh_superseded');
    story.refresh(ann, 1000);
    const parent = story.refuse('refresh', ann.refresh, 1500, 'refresh_superseded');
    expect(story.violations()).toEqual([`B${current.id}`, `D${parent.id}`]);
  });

  it('takes it while the grandchild may be made', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const next = story.refresh(ann, 1000);
    story.refuse('refresh', ann.refresh, [1490, 1501], 'refresh_superseded');
    story.refresh(next, 1500);
    expect(story.violations()).toEqual([]);
  });
});
