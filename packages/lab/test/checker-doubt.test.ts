// The chaos checker and what nobody answered: how long it excuses a refusal, and what shows that it never happened.
import { describe, expect, it } from 'vitest';

import { OPERATOR_MS, REQUEST_MS } from '../chaos/checker/deadlines.js';
import { tellStory, type Pair, type Story, type When, RULES } from './checker-story.js';

const OPERATOR = 'operator';
const unknown = { outcome: 'unknown' } as const;

/** Ends without an answer, asked for from 200 to 210, and by when they have happened or never will. */
const DOUBTS: [string, (story: Story, pair: Pair, when: When) => unknown, until: number][] = [
  [
    'logout',
    (story, { access }, when) => story.ask('logout', when, { token: access.id, ...unknown }),
    200 + REQUEST_MS,
  ],
  [
    'revoke of the access token',
    (story, { access }, when) => story.ask('revoke', when, { token: access.id, ...unknown }),
    200 + REQUEST_MS,
  ],
  [
    'logout-all',
    (story, { access }, when) =>
      story.ask('logout-all', when, { token: access.id, exceptCurrent: false, ...unknown }),
    200 + REQUEST_MS,
  ],
  [
    'disable',
    (story, { user }, when) => story.ask('disable', when, { user, replica: OPERATOR, ...unknown }),
    210 + OPERATOR_MS,
  ],
  [
    'a new password',
    (story, { user }, when) =>
      story.ask('password', when, { user, password: 1, replica: OPERATOR, ...unknown }),
    210 + OPERATOR_MS,
  ],
  [
    'retire-key',
    (story, _pair, when) => story.ask('retire-key', when, { replica: OPERATOR, ...unknown }),
    210 + OPERATOR_MS,
  ],
];

/** Lives long enough that no deadline comes after its end. */
const LONG = { accessTtl: 120, refreshTtl: 120, sessionTtl: 240 };

describe.each(DOUBTS)('after %s that nobody answered', (_name, end, until) => {
  const tell = () => tellStory(LONG);

  it('takes a refusal while it may have happened, and for ever where nobody was seen since', () => {
    const story = tell();
    const ann = story.logIn(100);
    end(story, ann, 200);
    story.introspect(ann.access, 300, false);
    story.introspect(ann.access, until + 20_000, false);
    expect(story.violations()).toEqual([]);
  });

  it('finds a refusal of what was seen alive when it could not happen any more', () => {
    const story = tell();
    const ann = story.logIn(100);
    end(story, ann, 200);
    story.introspect(ann.access, until, true);
    const wrong = story.introspect(ann.access, until + 100, false);
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it('takes a refusal of what was seen alive a moment before that', () => {
    const story = tell();
    const ann = story.logIn(100);
    end(story, ann, 200);
    story.introspect(ann.access, until - 1, true);
    story.introspect(ann.access, until + 100, false);
    expect(story.violations()).toEqual([]);
  });

  it('finds a refusal that came before it was asked for, or was over before it was seen alive', () => {
    const story = tell();
    const ann = story.logIn(100);
    const early = story.introspect(ann.access, [150, 199], false);
    end(story, ann, 200);
    expect(story.violations()).toEqual([`B${early.id}`]);
  });
});

describe('a session that was opened later', () => {
  it.each([
    ['than a retired key without an answer can have been retired', 210 + OPERATOR_MS + 1, 'B'],
    ['but while it could be', 210 + OPERATOR_MS - 1, ''],
  ])('%s', (_name, opened, rule) => {
    const story = tellStory(LONG);
    story.ask('retire-key', 200, { replica: OPERATOR, ...unknown });
    const ann = story.logIn(opened);
    const refused = story.introspect(ann.access, opened + 100, false);
    expect(story.violations()).toEqual(rule === '' ? [] : [`${rule}${refused.id}`]);
  });
});

it('excuses a commit that may wait for a standby for ever', () => {
  const story = tellStory(LONG);
  const ann = story.logIn(100);
  story.ask('logout', 200, { token: ann.access.id, isOpenEnded: true, ...unknown });
  story.introspect(ann.access, 50_000, true);
  story.introspect(ann.access, 60_000, false);
  expect(story.violations()).toEqual([]);
});

it('holds each kind of answer for a sign of life', () => {
  const until = 200 + REQUEST_MS;
  const signs: ((story: Story, ann: Pair, other: Pair) => unknown)[] = [
    (story, { access }) => story.ask('session', until, { token: access.id, reissued: null }),
    (story, { sid }, other) => story.ask('list', until, { token: other.access.id, sids: [sid, other.sid] }),
    (story, ann) => story.refresh(ann, until),
    (story, { refresh }) => story.refuse('refresh', refresh, until, 'refresh_superseded'),
  ];
  for (const sign of signs) {
    const story = tellStory(LONG);
    const [ann, other] = [story.logIn(100), story.logIn(100)];
    story.ask('logout', 200, { token: ann.access.id, ...unknown });
    sign(story, ann, other);
    const wrong = story.introspect(ann.access, until + 100, false);
    expect(story.violations()).toContain(`B${wrong.id}`);
  }
});

it('does not take the life of the session for that of a lineage', () => {
  const story = tellStory(LONG);
  const ann = story.logIn(100);
  story.ask('revoke', 200, { token: ann.access.id, ...unknown });
  story.refresh(ann, 200 + REQUEST_MS);
  story.introspect(ann.access, 300 + REQUEST_MS, false);
  expect(story.violations()).toEqual([]);
});

it('excuses a refusal by theft that nobody answered only while it can be decided', () => {
  const until = 1000 + REQUEST_MS;
  const story = tellStory(LONG);
  const ann = story.logIn(100);
  story.ask('refresh', 1000, { token: ann.refresh.id, ...unknown });
  const next = story.refresh(ann, 1500);
  story.introspect(next.access, until, true);
  const wrong = story.introspect(next.access, until + 100, false);
  expect(story.violations()).toEqual([`B${wrong.id}`]);
});

it('does not excuse by theft what was seen alive less than a window after a rotation', () => {
  const story = tellStory(LONG);
  const ann = story.logIn(100);
  story.ask('refresh', 1000, { token: ann.refresh.id, ...unknown });
  const next = story.refresh(story.refresh(ann, 1500), 12_000);
  story.introspect(next.access, 12_100, true);
  const early = story.introspect(next.access, 21_900, false);
  story.introspect(next.access, 22_100, false);
  expect(story.violations()).toEqual([`B${early.id}`]);
});

it('finds a late replay forgiven where a rotation that nobody answered is long decided', () => {
  const story = tellStory(LONG);
  const ann = story.logIn(100, { honest: false });
  const next = story.refresh(ann, 1200);
  story.ask('refresh', 5000, { token: next.refresh.id, ...unknown });
  story.refuse('refresh', ann.refresh, 5000 + REQUEST_MS + 10_000, 'refresh_superseded');
  const wrong = story.refuse('refresh', ann.refresh, 5000 + REQUEST_MS + 10_010, 'refresh_superseded');
  expect(story.violations()).toEqual([`F${wrong.id}`]);
});

describe('a login', () => {
  const refusal = { user: 'ann', outcome: 'refused', status: 401, error: 'invalid_credentials' } as const;

  it('is refused wrongly once a login has shown that a new password without an answer was not set', () => {
    const story = tellStory(LONG);
    story.ask('password', 200, { user: 'ann', password: 1, replica: OPERATOR, ...unknown });
    story.ask('login', 300, { password: 0, ...refusal });
    story.ask('login', 210 + OPERATOR_MS, { password: 0, ...refusal });
    story.logIn(211 + OPERATOR_MS, { password: 0 });
    const wrong = story.ask('login', 300 + OPERATOR_MS, { password: 0, ...refusal });
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it('is refused wrongly once a login has shown that a disabling without an answer never came', () => {
    const story = tellStory(LONG);
    story.ask('disable', 200, { user: 'ann', replica: OPERATOR, ...unknown });
    story.logIn(209 + OPERATOR_MS);
    story.ask('login', 250 + OPERATOR_MS, { password: 0, ...refusal });
    story.logIn(300 + OPERATOR_MS);
    const wrong = story.ask('login', 400 + OPERATOR_MS, { password: 0, ...refusal });
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it('is let in wrongly with an old password when nothing can have brought it back', () => {
    const story = tellStory(LONG);
    story.ask('password', 200, { user: 'ann', password: 1 });
    story.ask('password', 300, { user: 'ann', password: 0, replica: OPERATOR, ...unknown });
    story.ask('password', 311 + OPERATOR_MS, { user: 'ann', password: 1 });
    const { operation } = story.logIn(400 + OPERATOR_MS, { password: 0 });
    expect(story.violations()).toEqual([`A${operation.id}`]);
  });
});

describe('a change of password by its user', () => {
  it('ends all sessions, the one that asks included', () => {
    const story = tellStory(LONG);
    const [ann, other] = [story.logIn(100), story.logIn(100)];
    story.changePassword(ann, 200, 0, 1);
    story.introspect(ann.access, 300, false);
    const wrong = [story.introspect(other.access, 300, true), story.introspect(ann.access, 400, true)];
    expect(story.violations().toSorted()).toEqual(wrong.map(({ id }) => `A${id}`));
  });

  it('supersedes refresh tokens of the session that asks, and of no other', () => {
    const story = tellStory(LONG);
    const [ann, other] = [story.logIn(100), story.logIn(100)];
    story.changePassword(ann, 200, 0, 1);
    story.refuse('refresh', ann.refresh, 300, 'refresh_superseded');
    const later = 400 + 1000 * RULES.replayWindow;
    story.refuse('refresh', ann.refresh, later, 'invalid_token');
    const wrong = [
      story.refuse('refresh', other.refresh, 300, 'refresh_superseded'),
      story.refuse('refresh', ann.refresh, 300, 'invalid_token'),
      story.refuse('refresh', ann.refresh, later, 'refresh_superseded'),
    ];
    const found = story.violations();
    for (const { id } of wrong) expect(found.some((violation) => violation.endsWith(String(id)))).toBe(true);
    expect(new Set(found.map((violation) => violation.slice(1))).size).toBe(wrong.length);
  });

  it('is made by nobody whose session has ended, and turns no live one away', () => {
    const story = tellStory(LONG);
    const [ann, bob] = [story.logIn(100), story.logIn(100, { user: 'bob' })];
    story.ask('logout', 200, { token: ann.access.id });
    const wrong = [
      story.changePassword(ann, 300, 0, 1),
      story.changePassword(bob, 300, 0, 1, { outcome: 'refused', status: 401, error: 'invalid_token' }),
    ];
    expect(story.violations().toSorted()).toEqual([`A${wrong[0]?.id}`, `B${wrong[1]?.id}`]);
  });

  it('takes the current password alone, and always', () => {
    const refused = { outcome: 'refused', status: 401, error: 'invalid_credentials' } as const;
    const story = tellStory(LONG);
    story.changePassword(story.logIn(100), 200, 0, 1);
    const ann = story.logIn(250, { password: 1 });
    story.changePassword(ann, 300, 0, 2, refused);
    const wrong = [story.changePassword(ann, 400, 1, 2, refused), story.changePassword(ann, 500, 0, 3)];
    expect(story.violations().toSorted()).toEqual([`A${wrong[1]?.id}`, `B${wrong[0]?.id}`]);
  });

  it('is possible for ever where nobody answered, unless the password that it proves was replaced', () => {
    for (const [replaced, rule] of [
      [false, ''],
      [true, 'B'],
    ] as const) {
      const story = tellStory(LONG);
      const ann = story.logIn(100);
      story.changePassword(ann, 200, 0, 1, unknown);
      if (replaced) story.ask('password', 50_000, { user: 'ann', password: 2 });
      const later = story.logIn(50_100, { password: replaced ? 2 : 0 });
      const refused = story.introspect(later.access, 60_000, false);
      expect(story.violations()).toEqual(rule === '' ? [] : [`${rule}${refused.id}`]);
    }
  });
});
