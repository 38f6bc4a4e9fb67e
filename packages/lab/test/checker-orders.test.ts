// The chaos checker about administrators: what their orders end, what a lift gives back, and who is told of another scope.
import { describe, expect, it } from 'vitest';

import type { Operation, Row } from '../chaos/history.js';
import { EPOCH_MS, tellStory, type Pair, type Story, type When } from './checker-story.js';

type Members = Partial<Operation>;

const ENDING = 'ending-1';

/** An order that names the session, and what it wrote as it was listed. */
function hold(story: Story, pair: Pair, when: number, { id = 'row-1', ending = ENDING } = {}): Row {
  story.ask('order', when, { by: 'session_ids', sids: [pair.sid], ending, counted: 1 });
  const row: Row = { id, kind: 'session', target: pair.sid };
  story.ask('rows', when + 15, { ending, rows: [row] });
  return row;
}

const lift = (
  story: Story,
  { id, kind, target }: Row,
  when: When,
  restored: boolean,
  members: Members = {},
) => story.ask('lift', when, { row: id, rowKind: kind, target, restored, ...members });

/** Each way to name a session or its access token. */
const WAYS: [string, (pair: Pair) => Members][] = [
  ['its id', ({ sid }) => ({ by: 'session_ids', sids: ['another', sid] })],
  ['its user', ({ user }) => ({ by: 'user_ids', users: [user] })],
  ['the jti of its refresh token', ({ sid }) => ({ by: 'jti', lineage: sid })],
  ['the jti of its access token', ({ access }) => ({ by: 'jti', lineage: access.lineage })],
  ['its refresh token', ({ refresh }) => ({ by: 'token', token: refresh.id })],
  ['its access token', ({ access }) => ({ by: 'token', token: access.id })],
  ['its network', () => ({ by: 'ip', network: '10.0.0.1', since: EPOCH_MS, until: EPOCH_MS + 1000 })],
  ['a range', () => ({ by: 'ip', network: '10.0.0.0/31', since: EPOCH_MS, until: EPOCH_MS + 1000 })],
  ['the time before which it was opened', () => ({ by: 'all', before: EPOCH_MS + 106 })],
];

describe.each(WAYS)('an order that names %s', (_name, name) => {
  it('ends it, from its answer on', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('order', 200, { ...name(ann), ending: ENDING, counted: 1 });
    story.introspect(ann.access, [209, 230], true);
    story.introspect(ann.access, 230, false);
    const seen = story.introspect(ann.access, 300, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('may have ended it without an answer, and for as long as it may still be decided', () => {
    const story = tellStory({ accessTtl: 59, reissueMax: 0 });
    const ann = story.logIn(100);
    story.ask('order', 200, { ...name(ann), outcome: 'unknown' });
    story.introspect(ann.access, 300, true);
    story.introspect(ann.access, 20_000, false);
    expect(story.violations()).toEqual([]);

    const later = tellStory({ accessTtl: 59, reissueMax: 0 });
    const bob = later.logIn(100);
    later.ask('order', 200, { ...name(bob), outcome: 'unknown' });
    later.introspect(bob.access, 31_000, true);
    const seen = later.introspect(bob.access, 32_000, false);
    expect(later.violations()).toEqual([`B${seen.id}`]);
  });

  it.each([
    ['a dry run', { isDryRun: true, counted: null }],
    ['a refused one', { outcome: 'refused', status: 409, error: 'too_many_sessions' }],
  ] as [string, Members][])('ends nothing as %s', (_what, how) => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('order', 200, { ...name(ann), ...how });
    story.introspect(ann.access, 300, true);
    const seen = story.introspect(ann.access, 400, false);
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });
});

describe('an order', () => {
  it.each([
    ['another session', () => ({ by: 'session_ids', sids: ['another'] })],
    ['another user', () => ({ by: 'user_ids', users: ['bob'] })],
    [
      'another network',
      () => ({ by: 'ip', network: '10.0.0.2/31', since: EPOCH_MS, until: EPOCH_MS + 1000 }),
    ],
    ['a later time', () => ({ by: 'ip', network: '10.0.0.1', since: EPOCH_MS + 106, until: EPOCH_MS + 999 })],
    ['the time at which it was opened', () => ({ by: 'all', before: EPOCH_MS + 105 })],
  ] as [string, () => Members][])('does not end a session with %s', (_what, name) => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('order', 200, { ...name(), ending: ENDING, counted: 0 });
    story.introspect(ann.access, 300, true);
    const seen = story.introspect(ann.access, 400, false);
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });

  it('ends an access token by its own name, and not the session', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('order', 200, { by: 'token', token: ann.access.id, ending: ENDING, counted: 1 });
    const later = story.refresh(ann, 300);
    story.introspect(later.access, 400, true);
    const seen = story.introspect(ann.access, 500, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('is not believed to have ended more than it has rows for', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('order', 200, { by: 'session_ids', sids: [ann.sid], ending: ENDING, counted: 1 });
    const seen = story.ask('rows', 220, { ending: ENDING, rows: [] });
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('that wrote no row for a session tells that something else had ended it', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('order', 200, { by: 'session_ids', sids: [ann.sid], ending: ENDING, counted: 0 });
    story.ask('rows', 220, { ending: ENDING, rows: [] });
    const seen = story.introspect(ann.access, 300, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('does not hide a theft: whether it is one is decided while the session is held', () => {
    const story = tellStory();
    const ann = story.logIn(100, { honest: false });
    const next = story.refresh(ann, 200);
    const row = hold(story, ann, 300);
    story.refuse('refresh', next.refresh, 400);
    story.refuse('refresh', ann.refresh, 10_500, 'refresh_reused');
    lift(story, row, 11_000, false);
    const seen = story.introspect(next.access, 12_000, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('may meet a change of password, which is made and answered with a no', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.changePassword(ann, [200, 400], 0, 1, { outcome: 'refused', status: 401, error: 'invalid_token' });
    story.ask('order', [250, 300], { by: 'session_ids', sids: [ann.sid], ending: ENDING, counted: 1 });
    story.logIn(500, { password: 1 });
    expect(story.violations()).toEqual([]);
  });
});

describe('a lift', () => {
  function tellLifted(restored = true): { story: Story; ann: Pair; lifted: Operation } {
    const story: Story = tellStory();
    const ann = story.logIn(100);
    const row = hold(story, ann, 200);
    return { story, ann, lifted: lift(story, row, 300, restored) };
  }

  it('gives a session back, with all its tokens', () => {
    const { story, ann } = tellLifted();
    story.introspect(ann.access, 250, false);
    story.refuse('refresh', ann.refresh, 250);
    story.introspect(ann.access, 400, true);
    story.list(ann, 400, [ann.sid]);
    story.refresh(ann, 500);
    expect(story.violations()).toEqual([]);
  });

  it('is owed to what nothing else has ended', () => {
    const { story, lifted } = tellLifted(false);
    expect(story.violations()).toEqual([`B${lifted.id}`]);
  });

  it('ends the time in which a no needs no other cause', () => {
    const { story, ann } = tellLifted();
    const wrong = [
      story.introspect(ann.access, 400, false),
      story.refuse('refresh', ann.refresh, 400),
      story.list(story.logIn(350), 400, []),
    ];
    expect(story.violations().toSorted()).toEqual(wrong.map(({ id }) => `B${id}`).toSorted());
  });

  it('may have been done, or not, where nobody answered', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const row = hold(story, ann, 200);
    lift(story, row, 300, true, { outcome: 'unknown' });
    story.introspect(ann.access, 400, false);
    story.introspect(ann.access, 500, true);
    expect(story.violations()).toEqual([]);
  });

  it('gives nothing back before it was asked for', () => {
    const { story, ann } = tellLifted();
    const seen = story.introspect(ann.access, [230, 299], true);
    story.introspect(ann.access, [230, 301], true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it.each([
    ['a logout', (story, { access }) => story.ask('logout', 250, { token: access.id })],
    ['an end of all', (story, { user }) => story.ask('disable', 250, { user })],
    ['another order', (story, pair) => hold(story, pair, 250, { id: 'row-2', ending: 'ending-2' })],
  ] as [string, (story: Story, pair: Pair) => unknown][])(
    'does not bring back what %s has ended',
    (_what, end) => {
      const story = tellStory();
      const ann = story.logIn(100);
      const row = hold(story, ann, 200);
      end(story, ann);
      const wrong = [lift(story, row, 300, true), story.introspect(ann.access, 400, true)];
      expect(story.violations()).toEqual(wrong.map(({ id }) => `A${id}`));
    },
  );

  it('brings back nothing that it said to be dead, when nobody lifts another row', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const row = hold(story, ann, 200);
    story.ask('logout', 250, { token: ann.access.id, outcome: 'unknown' });
    lift(story, row, 300, false);
    const seen = story.introspect(ann.access, 400, true);
    expect(story.violations()).toEqual([`C${seen.id}`]);
  });

  it('of the last of two rows brings it back', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const rows = [hold(story, ann, 200), hold(story, ann, 230, { id: 'row-2', ending: 'ending-2' })] as const;
    lift(story, rows[0], 300, false);
    story.introspect(ann.access, 320, false);
    lift(story, rows[1], 350, true);
    story.introspect(ann.access, 400, true);
    expect(story.violations()).toEqual([]);
  });

  it('gives back an access token, unless it was revoked', () => {
    for (const isRevoked of [false, true]) {
      const story = tellStory();
      const ann = story.logIn(100);
      const { lineage } = ann.access;
      story.ask('order', 200, { by: 'jti', lineage, ending: ENDING, counted: 1 });
      const row: Row = { id: 'row-1', kind: 'token', target: lineage };
      story.ask('rows', 220, { ending: ENDING, rows: [row] });
      if (isRevoked) story.ask('revoke', 230, { token: ann.access.id });
      const wrong = [lift(story, row, 300, true), story.introspect(ann.access, 400, true)];
      expect(story.violations().toSorted()).toEqual(
        isRevoked ? wrong.map(({ id }) => `A${id}`).toSorted() : [],
      );
    }
  });

  it('gives back an access token whose key was retired before it was revoked, which left no row', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const { lineage } = ann.access;
    story.ask('retire-key', 190, { replica: 'operator' });
    story.ask('order', 200, { by: 'jti', lineage, ending: ENDING, counted: 1 });
    const row: Row = { id: 'row-1', kind: 'token', target: lineage };
    story.ask('rows', 220, { ending: ENDING, rows: [row] });
    story.ask('revoke', 230, { token: ann.access.id });
    lift(story, row, 300, true);
    expect(story.violations()).toEqual([]);
  });

  it.each([
    ['of a final row is refused', 'user', { restored: true }, 'A'],
    ['of any other row is not', 'session', { outcome: 'refused', status: 409, error: 'not_liftable' }, 'A'],
    ['finds a row that was listed', 'session', { outcome: 'refused', status: 404, error: 'not_found' }, 'B'],
  ] as [string, Row['kind'], Members, string][])('%s', (_what, kind, members, rule) => {
    const story = tellStory();
    const wrong = story.ask('lift', 300, { row: 'row-1', rowKind: kind, target: null, ...members });
    expect(story.violations()).toEqual([`${rule}${wrong.id}`]);
  });
});

describe('another scope', () => {
  const change = (story: Story, when: When, scope: string, members: Members = {}) =>
    story.ask('scope', when, { user: 'ann', scope, ...members });

  /** A refresh that mints with this scope. */
  const renew = (story: Story, pair: Pair, when: number, scope: string, ver = 0) =>
    story.refresh({ ...pair, scope, ver }, when);

  it('ends the access tokens of before, and not the session', () => {
    const story = tellStory();
    const ann = story.logIn(100, { scope: 'read' });
    change(story, 200, 'version-1');
    story.introspect(ann.access, 250, false);
    const next = renew(story, ann, 300, 'version-1', 1);
    story.introspect(next.access, 400, true);
    const seen = story.introspect(ann.access, 400, true);
    expect(story.violations()).toEqual([`A${seen.id}`]);
  });

  it('does not end those of another user, nor those that have it', () => {
    const story = tellStory();
    const bob = story.logIn(100, { user: 'bob' });
    const ann = story.logIn(100);
    change(story, 200, 'version-1');
    const next = renew(story, ann, 300, 'version-1', 1);
    change(story, 400, 'version-1');
    story.introspect(next.access, 450, true);
    const wrong = [story.introspect(bob.access, 500, false), story.introspect(next.access, 500, false)];
    expect(story.violations().toSorted()).toEqual(wrong.map(({ id }) => `B${id}`).toSorted());
  });

  it('is what is minted from then on, by a refresh and by a login', () => {
    const story = tellStory();
    const ann = story.logIn(100, { scope: 'read' });
    change(story, 200, 'version-1');
    const wrong = [renew(story, ann, 300, 'read').operation, story.logIn(300, { scope: 'read' }).operation];
    expect(story.violations()).toEqual(wrong.map(({ id }) => `A${id}`));
  });

  it('is nobody’s before it was asked for', () => {
    const story = tellStory();
    const ann = story.logIn(100, { scope: 'read' });
    const { operation } = renew(story, ann, 150, 'version-1', 1);
    change(story, 200, 'version-1');
    expect(story.violations()).toEqual([`I${operation.id}`]);
  });

  it('comes with a number of its own', () => {
    const story = tellStory();
    const ann = story.logIn(100, { scope: 'read' });
    change(story, 200, 'version-1');
    const { operation } = renew(story, ann, 300, 'version-1', 0);
    expect(story.violations()).toEqual([`I${operation.id}`]);
  });

  it('without an answer may be in force, or not', () => {
    const story = tellStory();
    const ann = story.logIn(100, { scope: 'read' });
    change(story, 200, 'version-1', { outcome: 'unknown' });
    story.introspect(ann.access, 250, true);
    const next = renew(story, ann, 300, 'version-1', 1);
    story.introspect(ann.access, 350, false);
    story.introspect(next.access, 400, true);
    expect(story.violations()).toEqual([]);
  });

  it('is not turned back by an answer: what was refused once is refused for good', () => {
    const story = tellStory();
    const ann = story.logIn(100, { scope: 'read' });
    change(story, 200, 'version-1', { outcome: 'unknown' });
    story.introspect(ann.access, 250, false);
    const seen = story.introspect(ann.access, 300, true);
    expect(story.violations()).toEqual([`C${seen.id}`]);
  });

  it('leaves refresh tokens as they are', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    change(story, 200, 'version-1');
    const seen = story.refuse('refresh', ann.refresh, 300);
    expect(story.violations()).toEqual([`B${seen.id}`]);
  });
});
