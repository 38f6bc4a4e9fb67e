// The chaos checker about events: each end that was answered has left one, of the right thing, and nothing has left one that nobody asked for.
import { describe, expect, it } from 'vitest';

import type { NotedEvent, Operation } from '../chaos/history.js';
import { tellStory, type Pair, type Story } from './checker-story.js';

const ROW = 'row-1';

/** A user who is logged in, of which there is an event. */
function open(story: Story, when = 100): Pair & { sub: string } {
  const pair = story.logIn(when);
  const sub = String(pair.access.claims['sub']);
  story.tell(pair.operation, 'session.opened', { actor: `user:${sub}`, userId: sub, sessionId: pair.sid });
  return { ...pair, sub };
}

/** What somebody does, and the event of it. */
type Deed = [
  kind: string,
  about: (pair: Pair & { sub: string }, story: Story) => Partial<Operation>,
  type: string,
  event: (pair: Pair & { sub: string }) => Partial<NotedEvent>,
];

const ofUser = ({ sub }: { sub: string }) => ({ userId: sub, actor: `user:${sub}` });

const DEEDS: Deed[] = [
  [
    'logout',
    ({ access }) => ({ token: access.id }),
    'session.ended',
    (pair) => ({ ...ofUser(pair), sessionId: pair.sid, reason: 'logout' }),
  ],
  [
    'end-session',
    ({ access, sid }) => ({ token: access.id, sid }),
    'session.ended',
    (pair) => ({ ...ofUser(pair), sessionId: pair.sid, reason: 'session_ended' }),
  ],
  [
    'logout-all',
    ({ access }) => ({ token: access.id }),
    'session.ended',
    (pair) => ({ ...ofUser(pair), sessionId: pair.sid, reason: 'logout_all' }),
  ],
  [
    'revoke',
    ({ refresh }) => ({ token: refresh.id, actor: 'client:orders' }),
    'session.ended',
    ({ sub, sid }) => ({ userId: sub, actor: 'client:orders', sessionId: sid, reason: 'revoked' }),
  ],
  [
    'revoke',
    ({ access }) => ({ token: access.id, actor: 'client:orders' }),
    'token.revoked',
    ({ sub, sid, access: { lineage } }) => ({
      userId: sub,
      actor: 'client:orders',
      sessionId: sid,
      reason: 'revoked',
      detail: { lineage },
    }),
  ],
  [
    'refresh',
    (pair, story) => {
      story.refresh(pair, 200);
      return { token: pair.refresh.id, outcome: 'refused', status: 401, error: 'refresh_reused' };
    },
    'session.reused',
    ({ sub, sid }) => ({ userId: sub, actor: 'gatehouse', outcome: 'refresh_reused', sessionId: sid }),
  ],
  ['password', ({ user }) => ({ user, password: 1 }), 'password.changed', () => ({})],
  ['disable', ({ user }) => ({ user }), 'user.disabled', () => ({})],
  [
    'scope',
    ({ user }) => ({ user, scope: 'read', actor: 'client:a' }),
    'user.changed',
    () => ({ actor: 'client:a' }),
  ],
  ['delete', ({ user }) => ({ user, actor: 'client:a' }), 'user.deleted', () => ({ actor: 'client:a' })],
  [
    'add-user',
    () => ({ user: 'eve', sub: 'id', actor: 'client:a' }),
    'user.added',
    () => ({ actor: 'client:a', userId: 'id' }),
  ],
  ['retire-key', () => ({}), 'key.retired', () => ({})],
  ['rotate-key', () => ({}), 'key.rotated', () => ({})],
  [
    'order',
    ({ sid }) => ({ by: 'session_ids', sids: [sid], ending: 'e', counted: 1, actor: 'client:a' }),
    'revocation.added',
    ({ sid }) => ({ actor: 'client:a', sessionId: sid, detail: { ending_id: 'e' } }),
  ],
  [
    'order',
    () => ({ by: 'now', ending: 'e', counted: 0, actor: 'client:a' }),
    'revocation.added',
    () => ({ actor: 'client:a', detail: { ending_id: 'e' } }),
  ],
  [
    'order',
    ({ user }) => ({ by: 'user_ids', users: [user], ending: 'e', reached: 1, actor: 'client:a' }),
    'revocation.added',
    () => ({ actor: 'client:a', detail: { ending_id: 'e' } }),
  ],
  [
    'lift',
    ({ sid }) => ({ row: ROW, rowKind: 'session', target: sid, restored: true, actor: 'client:a' }),
    'revocation.lifted',
    ({ sid }) => ({ actor: 'client:a', sessionId: sid, detail: { revocation_id: ROW } }),
  ],
];

/** What is another deed when it is done again, or is refused then. */
const EACH_TIME = new Set([
  'password',
  'logout-all',
  'retire-key',
  'rotate-key',
  'order',
  'add-user',
  'refresh',
  'end-session',
]);

const wrong = (story: Story) => story.check().violations.filter(({ rule }) => rule === 'K');

describe.each(DEEDS)('%s (%#)', (kind, about, type, event) => {
  it('is told of by one event', () => {
    const story = tellStory();
    const pair = open(story);
    const done = story.ask(kind, 20_000, about(pair, story));
    expect(wrong(story)).toMatchObject([
      { operations: [done.id], message: expect.stringContaining('no event') as string },
    ]);
    story.tell(done, type, event(pair));
    expect(wrong(story)).toEqual([]);
    story.tell(done, type, event(pair));
    expect(wrong(story)).toMatchObject([{ operations: [done.id] }]);
  });

  it('is not told of by another event', () => {
    for (const other of [{ type: 'user.unlocked' }, { outcome: 'server_error' }, { actor: 'client:b' }]) {
      const story = tellStory();
      const pair = open(story);
      const done = story.ask(kind, 20_000, about(pair, story));
      story.tell(done, type, { ...event(pair), ...other });
      const isFree = 'actor' in other && event(pair).actor === undefined;
      expect(wrong(story), JSON.stringify(other)).toHaveLength(isFree ? 0 : 1);
    }
  });

  it('may have left an event without an answer, and none', () => {
    const story = tellStory();
    const pair = open(story);
    const unknown = story.ask(kind, 20_000, { ...about(pair, story), outcome: 'unknown', error: null });
    expect(wrong(story)).toEqual([]);
    story.tell(unknown, type, event(pair));
    expect(wrong(story)).toEqual([]);
    story.tell(unknown, type, event(pair));
    expect(wrong(story)).toHaveLength(1);
  });

  if (EACH_TIME.has(kind)) return;

  it('is told of once, though it is done twice', () => {
    const story = tellStory();
    const pair = open(story);
    const done = story.ask(kind, 20_000, about(pair, story));
    const again = story.ask(kind, 20_020, about(pair, story));
    story.tell(done, type, event(pair));
    expect(wrong(story)).toEqual([]);
    story.tell(again, type, event(pair));
    expect(wrong(story)).toMatchObject([{ operations: [again.id, done.id] }]);
  });

  it('may be told of by a request that nobody answered', () => {
    const story = tellStory();
    const pair = open(story);
    const unknown = story.ask(kind, 20_000, { ...about(pair, story), outcome: 'unknown', error: null });
    story.ask(kind, 20_020, about(pair, story));
    story.tell(unknown, type, event(pair));
    expect(wrong(story)).toEqual([]);
  });
});

describe('an event', () => {
  it('of nobody’s request is wrong, but for the first key and what prepares a run', () => {
    const story = tellStory();
    open(story);
    story.tell(null, 'request.limited', { actor: 'gatehouse' });
    story.tell(null, 'request.refused', { actor: 'client:orders' });
    story.tell(null, 'key.added', { actor: 'gatehouse' });
    story.tell(null, 'user.added', { actor: 'cli:setting-up' });
    expect(wrong(story)).toEqual([]);
    story.tell(null, 'user.deleted', { actor: 'cli:setting-up' });
    story.tell(null, 'session.ended', { mark: 77 });
    expect(wrong(story)).toMatchObject([{ operations: [] }, { operations: [] }]);
  });

  it('that is gone is missed', () => {
    const story = tellStory();
    const { operation } = story.logIn(100);
    story.tell(operation, '', { type: null });
    expect(wrong(story)).toMatchObject([{ message: 'event event-0 is no longer there' }]);
  });

  it.each(['refused', 'ok'] as const)('is not left by what changes nothing: %s', (outcome) => {
    const story = tellStory();
    const pair = open(story);
    const kind = outcome === 'ok' ? 'introspect' : 'logout';
    const status = outcome === 'ok' ? 200 : 429;
    const done = story.ask(kind, 200, { token: pair.access.id, outcome, status, active: true });
    story.tell(done, 'session.ended', { ...ofUser(pair), sessionId: pair.sid, reason: 'logout' });
    expect(wrong(story)).toMatchObject([{ operations: [done.id] }]);
  });

  it('of a logout is not owed where something else may have ended the session before', () => {
    const story = tellStory();
    const pair = open(story);
    const { sub } = pair;
    const end = story.ask('password', 200, { user: 'ann', password: 1, sub });
    story.tell(end, 'password.changed', { userId: sub });
    story.ask('logout', 300, { token: pair.access.id });
    expect(wrong(story)).toEqual([]);
  });

  it('of a logout is owed where an operator holds the session', () => {
    const story = tellStory();
    const pair = open(story);
    const actor = 'client:a';
    const order = story.ask('order', 200, {
      by: 'session_ids',
      sids: [pair.sid],
      ending: 'e',
      counted: 1,
      actor,
    });
    story.tell(order, 'revocation.added', { actor, sessionId: pair.sid, detail: { ending_id: 'e' } });
    const done = story.ask('logout', 300, { token: pair.access.id });
    expect(wrong(story)).toMatchObject([{ operations: [done.id] }]);
  });

  it('of a login that fails may be missing, and is no opening', () => {
    const story = tellStory();
    open(story);
    const refused = { user: 'ann', outcome: 'refused', status: 401, error: 'invalid_credentials' } as const;
    const failed = story.ask('login', 200, refused);
    expect(wrong(story)).toEqual([]);
    story.tell(failed, 'login', { outcome: 'invalid_credentials', actor: 'gatehouse' });
    expect(wrong(story)).toEqual([]);
    const other = story.ask('login', 300, refused);
    story.tell(other, 'session.opened');
    expect(wrong(story)).toMatchObject([{ operations: [other.id] }]);
  });

  it('of who is enabled already is wrong, and of who is disabled again is owed', () => {
    const story = tellStory();
    open(story);
    const ask = (kind: string, when: number) => story.ask(kind, when, { user: 'ann' });
    const early = ask('enable', 200);
    const first = ask('disable', 300);
    story.tell(first, 'user.disabled');
    const enabled = ask('enable', 400);
    story.tell(enabled, 'user.enabled');
    const second = ask('disable', 500);
    expect(wrong(story)).toMatchObject([{ operations: [second.id] }]);
    story.tell(second, 'user.disabled');
    expect(wrong(story)).toEqual([]);
    story.tell(early, 'user.enabled');
    expect(wrong(story)).toMatchObject([{ operations: [early.id] }]);
  });

  it('of an order without anything to end is wrong where its rows were shown', () => {
    const story = tellStory();
    const pair = open(story);
    const about: Partial<Operation> = {
      by: 'session_ids',
      sids: [pair.sid],
      ending: 'e',
      counted: 0,
      actor: 'client:a',
    };
    const order = story.ask('order', 200, about);
    story.ask('rows', 300, { ending: 'e', rows: [] });
    expect(wrong(story)).toEqual([]);
    story.tell(order, 'revocation.added', { actor: 'client:a', detail: { ending_id: 'e' } });
    expect(wrong(story)).toMatchObject([{ operations: [order.id] }]);
  });

  it('of the user’s own new password is one, however often it was asked for', () => {
    const story = tellStory();
    const pair = open(story);
    const renewed = story.renew(pair, 200, [0, 1]);
    const repeated = story.renew(pair, 300, [0, 1], renewed);
    expect(wrong(story)).toHaveLength(1);
    const event = { ...ofUser(pair), sessionId: renewed.sid };
    story.tell(renewed.operation, 'password.changed', event);
    expect(wrong(story)).toEqual([]);
    story.tell(repeated.operation, 'password.changed', event);
    expect(wrong(story)).toHaveLength(1);
  });
});

it('judges no events where nobody has read them', () => {
  const story = tellStory();
  story.logIn(100);
  expect(story.check().counts.applied.K).toBe(0);
});
