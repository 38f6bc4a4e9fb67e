// The picture of the chaos run: which session it shows, and that what it draws can be read by whoever reads SVG.
import { expect, it } from 'vitest';

import { escapeText } from '../shared/svg.js';
import { pictureText } from '../chaos/picture.js';
import { findTelling } from '../chaos/picture/telling.js';
import { tellStory, type Pair, type Story } from './checker-story.js';

const REPLICAS = ['one', 'two', 'three <&>'];

const ask = (story: Story, { access }: Pair, start: number, active: boolean, replica: string) =>
  story.ask('introspect', [start, start + 8], { token: access.id, active, reissued: null, replica });

/** A session that is used on all replicas, logged out after a second, and asked about on some of them. */
function live(story: Story, from: number, seenOn = REPLICAS): Pair {
  const pair = story.logIn(from);
  REPLICAS.forEach((replica, n) => ask(story, pair, from + 100 + n, true, replica));
  story.ask('logout', [from + 1000, from + 1020], { token: pair.refresh.id, status: 204 });
  seenOn.forEach((replica, n) => ask(story, pair, from + 1030 + n, false, replica));
  return pair;
}

/** The same with a kill, an unknown outcome and two refreshes at once. */
function liveThroughMore(story: Story, from: number): Pair {
  const pair = live(story, from);
  const next = story.refresh(pair, [from + 200, from + 230]);
  story.ask('refresh', [from + 205, from + 235], {
    token: pair.refresh.id,
    access: next.access.id,
    refresh: next.refresh.id,
    replica: 'two',
  });
  story.kill([from + 400, from + 402], 'two');
  story.ask('introspect', [from + 410, from + 430], {
    token: pair.access.id,
    outcome: 'unknown',
    replica: 'two',
  });
  ask(story, pair, from + 600, true, 'two');
  return pair;
}

it('shows the session that has been through most', () => {
  const story = tellStory();
  live(story, 1000);
  const { sid } = liveThroughMore(story, 5000);
  live(story, 9000);
  const telling = findTelling(story.history());
  expect(telling).toMatchObject({ sid, replicas: ['one', 'three <&>', 'two'], fromMs: 5000 });
  expect(telling?.end).toMatchObject({ kind: 'logout', status: 204 });
  expect(telling?.kills).toEqual([{ target: 'two', name: 'kill', at: 5402, backAt: 5608 }]);
});

it('shows no session whose end not every replica was asked about', () => {
  const story = tellStory();
  live(story, 1000, ['one', 'two']);
  expect(pictureText(story.history())).toBeNull();
  const { sid } = live(story, 5000);
  expect(findTelling(story.history())?.sid).toBe(sid);
});

it('shows no session whose end nobody acknowledged', () => {
  const story = tellStory();
  const pair = story.logIn(1000);
  story.ask('logout', 2000, { token: pair.refresh.id, outcome: 'unknown', status: 503 });
  REPLICAS.forEach((replica) => ask(story, pair, 2100, false, replica));
  expect(pictureText(story.history())).toBeNull();
});

it('goes on until a kill after the end has been seen to bring nothing back', () => {
  const story = tellStory();
  const pair = live(story, 1000);
  story.kill([3000, 3010], 'postgres');
  ask(story, pair, 3400, false, 'two');
  expect(findTelling(story.history())?.toMs).toBeGreaterThan(3408);
  expect(pictureText(story.history())).toContain('>still inactive</text>');
});

it('draws well-formed SVG that says what it counts', () => {
  const story = tellStory();
  liveThroughMore(story, 5000);
  const text = pictureText(story.history()) ?? '';
  expect(unclosed(text)).toEqual([]);
  expect(text).not.toMatch(/NaN|Infinity|undefined|null/);
  expect(text).toContain('>three &#60;&#38;&#62;</text>');
  expect(text).toContain('>logout answered 204</text>');
  expect(text).toContain('>2 refreshes at once</text>');
  expect(text).toContain('12 questions under 1 kill, 1 without a certain answer; 3 asked after the logout');
  for (const name of ['minted', 'active', 'inactive', 'unknown', 'end', 'kill'])
    expect(text).toContain(`<path class="${name}" d="M`);
});

it('says it when a session was found alive after its end', () => {
  const story = tellStory();
  const pair = live(story, 1000);
  ask(story, pair, 2200, true, 'two');
  expect(pictureText(story.history())).toContain(': 1 of them found the session alive');
});

it('escapes what would be markup', () => {
  expect(escapeText(`a<b & "c">`)).toBe('a&#60;b &#38; &#34;c&#34;&#62;');
});

const TAG = /<(\/?)([a-z]+)(?:\s+[a-zA-Z:-]+="[^"<>]*")*\s*(\/?)>/g;

/** What is opened and not closed, or the other way round; whatever is no tag must not look like one. */
function unclosed(text: string): string[] {
  const open: string[] = [];
  for (const [, slash = '', name = '', isAlone] of text.matchAll(TAG)) {
    if (slash === '/' && open.at(-1) === name) open.pop();
    else if (slash === '/' || isAlone !== '/') open.push(slash + name);
  }
  const left = text.replaceAll(TAG, '');
  return /[<>]|&(?!#\d+;)/.test(left) ? [...open, 'stray markup'] : open;
}
