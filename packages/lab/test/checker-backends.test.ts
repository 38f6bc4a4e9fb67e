// The chaos checker about backends: sessions that they open, what they say of them, whom they reach, and the events of it.
import { describe, expect, it } from 'vitest';

import type { Operation, Said } from '../chaos/history.js';
import { rowIdOf } from '../chaos/subjects.js';
import { tellStory, type Pair, type Story } from './checker-story.js';

type Members = Partial<Operation>;

const SHOP = { backend: 'shop', actor: 'client:shop' };
const FORUM = { backend: 'forum', actor: 'client:forum' };
const NOT_FOUND: Members = { outcome: 'refused', status: 404, error: 'not_found' };
const FIRST: Said = { scope: 'read', ext: { tenant: 'a' } };

/** A session of the shop, and one of the forum, for users of one name. */
function tellTwo() {
  const story = tellStory();
  return { story, own: story.openFor(100, 'shop', FIRST), other: story.openFor(100, 'forum', FIRST) };
}

function change(story: Story, { sid }: Pair, when: number, said: Said, members: Members = {}): Operation {
  return story.ask('change', when, { ...SHOP, sid, said, ...members });
}

describe('a session of a backend', () => {
  it('lives, is refreshed and reissued as any other, and tells what its client has said', () => {
    const { story, own } = tellTwo();
    story.introspect(own.access, 200, true);
    const next = story.refresh(own, 300);
    story.introspect(next.access, 400, true);
    story.introspect(next.access, 20_000, true, story.successorOf(next.access, 20_000));
    expect(story.violations()).toEqual([]);
    expect(story.check().counts.judged).toMatchObject({ 'I minted': 3 });
  });

  it.each([
    ['sub', '2'],
    ['client_id', 'forum'],
    ['client_id', 'gatehouse'],
    ['username', 'ann'],
    ['scope', 'admin'],
    ['ext', { tenant: 'b' }],
    ['auth_time', 1_799_999_000],
    ['acr', 'high'],
    ['ver', 1],
    ['aud', 'others'],
  ])('is not minted with %s: %j', (claim, value) => {
    const { story, own } = tellTwo();
    const { operation, access } = story.refresh(own, 300);
    operation.access = story.tokenOf({ ...access.claims, [claim]: value }, 'at+jwt').id;
    expect(story.violations()).toEqual([`I${operation.id}`]);
  });

  it.each([
    ['sub', '2'],
    ['client_id', 'forum'],
  ])('has no refresh token with %s: %s', (claim, value) => {
    const { story, own } = tellTwo();
    own.operation.refresh = story.tokenOf({ ...own.refresh.claims, [claim]: value }, 'rt+jwt').id;
    expect(story.violations()).toEqual([`I${own.operation.id}`]);
  });

  it.each(['client-end', 'client-end-all'])('is ended for good by its client: %s', (kind) => {
    const { story, own } = tellTwo();
    story.ask(kind, 200, { ...SHOP, user: own.user, sub: '1', sid: own.sid });
    story.introspect(own.access, 300, false);
    const wrong = [story.introspect(own.access, 400, true), story.refresh(own, 400).operation];
    expect(story.violations()).toEqual(wrong.map(({ id }) => `A${id}`));
  });

  it.each([
    ['client-end', {}],
    ['client-end', { outcome: 'unknown' }],
    ['client-end', NOT_FOUND],
    ['change', { outcome: 'unknown' }],
    ['change', NOT_FOUND],
    ['client-end-all', {}],
    ['client-end-all', { outcome: 'unknown' }],
  ] as [string, Members][])(
    'is not ended by another client whose user has the same name: %s %j',
    (kind, members) => {
      const { story, own, other } = tellTwo();
      const sid = members.outcome !== undefined ? own.sid : other.sid;
      const said = { scope: 'admin' };
      story.ask(kind, 200, { ...FORUM, user: other.user, sub: '1', sid, said, ...members });
      story.introspect(own.access, 300, true);
      const wrong = story.introspect(own.access, 400, false);
      expect(story.violations()).toEqual([`B${wrong.id}`]);
    },
  );

  it.each(['client-end', 'change'])('is not there for another client: %s', (kind) => {
    const { story, own } = tellTwo();
    story.ask(kind, 200, { ...FORUM, sid: own.sid, said: { scope: 'admin' }, ...NOT_FOUND });
    const wrong = story.ask(kind, 300, { ...FORUM, sid: own.sid, said: { scope: 'admin' } });
    expect(story.violations()).toEqual([`I${wrong.id}`]);
    expect(story.check().counts.judged).toMatchObject({ "I other clients' sessions": 2 });
  });

  it.each(['client-end', 'change'])('is there for its own: %s', (kind) => {
    const { story, own } = tellTwo();
    const wrong = story.ask(kind, 200, { ...SHOP, sid: own.sid, said: { scope: 'x' }, ...NOT_FOUND });
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it('is not changed when it has ended', () => {
    const { story, own } = tellTwo();
    story.ask('logout', 200, { token: own.access.id });
    change(story, own, 300, { scope: 'x' }, NOT_FOUND);
    const wrong = change(story, own, 400, { scope: 'x' });
    expect(story.violations()).toEqual([`A${wrong.id}`]);
  });

  it('does not come back when its client did not find it', () => {
    const { story, own } = tellTwo();
    story.ask('logout', 200, { token: own.access.id, outcome: 'unknown' });
    change(story, own, 300, { scope: 'x' }, NOT_FOUND);
    const wrong = story.introspect(own.access, 400, true);
    expect(story.violations()).toEqual([`C${wrong.id}`]);
  });
});

describe('other claims of a session', () => {
  const OTHERS: Said[] = [
    { scope: 'version-1' },
    { scope: null },
    { ext: { tenant: 'a', version: 1 } },
    { acr: 'level-1', amr: ['otp'] },
    { auth_time: 1_799_999_999 },
  ];

  it.each(OTHERS)('end the access tokens of before, and not the session: %j', (said) => {
    const { story, own, other } = tellTwo();
    change(story, own, 200, said);
    story.introspect(own.access, 250, false);
    const next = story.refresh({ ...own, ...story.saidAfter(own, said) }, 300);
    story.introspect(next.access, 400, true);
    story.introspect(other.access, 400, true);
    const wrong = story.introspect(own.access, 400, true);
    expect(story.violations()).toEqual([`A${wrong.id}`]);
    expect(story.check().counts.judged).toMatchObject({ 'A of other claims': 2, 'A claims by refresh': 1 });
  });

  it.each(OTHERS)('are what is minted from then on: %j', (said) => {
    const { story, own } = tellTwo();
    change(story, own, 200, said);
    const { operation } = story.refresh({ ...own, ver: 1 }, 300);
    expect(story.violations()).toEqual([`A${operation.id}`]);
  });

  it('are in no token that one of before is reissued as', () => {
    const { story, own } = tellTwo();
    change(story, own, 19_000, { scope: 'version-1' });
    const wrong = story.introspect(own.access, 20_000, false, story.successorOf(own.access, 20_000));
    expect(story.violations()).toEqual([`A${wrong.id}`]);
  });

  it('come with no number above that of the changes', () => {
    const { story, own } = tellTwo();
    const said = { scope: 'version-1' };
    change(story, own, 200, said);
    const { operation } = story.refresh({ ...own, ...story.saidAfter(own, said), ver: 2 }, 300);
    expect(story.violations()).toEqual([`I${operation.id}`]);
  });

  it('are nobody’s before they were asked for', () => {
    const { story, own } = tellTwo();
    const said = { scope: 'version-1' };
    const { operation } = story.refresh({ ...own, ...story.saidAfter(own, said) }, 150);
    change(story, own, 200, said);
    expect(story.violations()).toEqual([`I${operation.id}`]);
  });

  it('without an answer may be in force, or not', () => {
    const { story, own } = tellTwo();
    const said = { scope: 'version-1' };
    change(story, own, 200, said, { outcome: 'unknown' });
    story.introspect(own.access, 250, true);
    const next = story.refresh({ ...own, ...story.saidAfter(own, said) }, 300);
    story.introspect(own.access, 350, false);
    story.introspect(next.access, 400, true);
    expect(story.violations()).toEqual([]);
  });
});

describe('events of backends', () => {
  const userId = rowIdOf('shop 1');

  function tellOpened() {
    const story = tellStory();
    const own = story.openFor(100, 'shop', FIRST);
    story.tell(own.operation, 'session.opened', { actor: SHOP.actor, userId, sessionId: own.sid });
    return { story, own, about: { actor: SHOP.actor, userId, sessionId: own.sid } };
  }

  it.each([
    ['change', 'session.changed', {}],
    ['client-end', 'session.ended', { reason: 'session_ended' }],
    ['client-end-all', 'session.ended', { reason: 'logout_all', sessionId: null }],
  ])('name the user whom they are about: %s', (kind, type, members) => {
    const { story, own, about } = tellOpened();
    const done = story.ask(kind, 200, { ...SHOP, sid: own.sid, user: own.user, said: { scope: 'x' } });
    expect(story.violations()).toEqual([`K${done.id}`]);
    const event = story.tell(done, type, { ...about, ...members });
    expect(story.violations()).toEqual([]);
    event.userId = rowIdOf('forum 1');
    expect(story.violations()).toEqual([`K${done.id}`]);
  });

  it('are none of a change to what is said already', () => {
    const { story, own, about } = tellOpened();
    story.tell(change(story, own, 200, { scope: 'x' }), 'session.changed', about);
    const again = change(story, own, 300, { scope: 'x' });
    expect(story.violations()).toEqual([]);
    story.tell(again, 'session.changed', about);
    expect(story.violations()).toEqual([`K${again.id}`]);
  });

  it('may be there again when another change has come between', () => {
    const { story, own, about } = tellOpened();
    for (const [when, scope] of [
      [200, 'x'],
      [300, 'y'],
      [400, 'x'],
    ] as const)
      story.tell(change(story, own, when, { scope }), 'session.changed', about);
    expect(story.violations()).toEqual([]);
  });
});
