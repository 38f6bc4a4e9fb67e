// Rules I and J of the chaos checker: nobody is told of somebody else, and nobody knows anything without a database.
import { describe, expect, it } from 'vitest';

import { tellStory } from './checker-story.js';

describe('rule I', () => {
  it('takes claims and headers that are the token’s own, and finds others', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.introspect(ann.access, 200, true);
    story.ask('session', 200, { token: ann.access.id });
    const wrong = [
      story.ask('introspect', 200, { token: ann.access.id, active: true, others: ['exp'] }),
      story.ask('session', 200, { token: ann.access.id, others: ['x-auth-scope'] }),
    ];
    expect(story.violations()).toEqual(wrong.map(({ id }) => `I${id}`));
    expect(story.check().counts.judged['I claims']).toBe(4);
  });

  it.each([
    ['access', 'iss', 'http://elsewhere.test'],
    ['access', 'sub', '00000000-0000-7000-8000-000000000123'],
    ['access', 'aud', 'others'],
    ['access', 'client_id', 'somebody'],
    ['access', 'username', 'bob'],
    ['access', 'scope', 'read'],
    ['access', 'admin', true],
    ['refresh', 'iss', 'http://elsewhere.test'],
    ['refresh', 'sub', '00000000-0000-7000-8000-000000000123'],
    ['refresh', 'aud', 'gatehouse'],
    ['refresh', 'scope', 'read'],
  ] as const)('finds an %s token minted with %s: %s', (kind, claim, value) => {
    for (const refreshes of [false, true]) {
      const story = tellStory();
      const ann = story.logIn(100);
      const { operation, ...pair } = refreshes ? story.refresh(ann, 1000) : ann;
      const claims = { ...pair[kind].claims, [claim]: value };
      operation[kind] = story.tokenOf(claims, kind === 'access' ? 'at+jwt' : 'rt+jwt').id;
      expect(story.violations()).toEqual([`I${operation.id}`]);
    }
  });

  it('takes the scope that the user was made with, and misses it', () => {
    const story = tellStory();
    story.logIn(100, { scope: 'read write' });
    const wrong = story.logIn(200, { scope: 'read write' });
    const claims = { ...wrong.access.claims };
    delete claims['scope'];
    wrong.operation.access = story.tokenOf(claims, 'at+jwt').id;
    expect(story.violations()).toEqual([`I${wrong.operation.id}`]);
  });

  it('finds another user’s session ended, and takes 404 and one’s own', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const own = story.logIn(100);
    const bob = story.logIn(100, { user: 'bob' });
    story.refuse('end-session', ann.access, 200, 'not_found', { sid: bob.sid, status: 404 });
    story.ask('end-session', 200, { token: ann.access.id, sid: own.sid });
    story.ask('end-session', 200, { token: ann.access.id, sid: bob.sid, outcome: 'unknown' });
    const wrong = story.ask('end-session', 300, { token: ann.access.id, sid: bob.sid });
    expect(story.violations()).toEqual([`I${wrong.id}`]);
    expect(story.check().counts.judged["I others' sessions"]).toBe(2);
  });

  it('does not take an attempt on another user’s session for an excuse', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const bob = story.logIn(100, { user: 'bob' });
    story.refuse('end-session', ann.access, 200, 'not_found', { sid: bob.sid, status: 404 });
    story.ask('end-session', 200, { token: ann.access.id, sid: bob.sid, outcome: 'unknown' });
    const wrong = story.introspect(bob.access, 300, false);
    expect(story.violations()).toEqual([`B${wrong.id}`]);
  });

  it('finds a list with another user’s session', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const bob = story.logIn(100, { user: 'bob' });
    story.list(ann, 200, [ann.sid]);
    const wrong = story.list(ann, 200, [ann.sid, bob.sid]);
    expect(story.violations()).toEqual([`I${wrong.id}`]);
  });

  it('finds a session that nobody is known to have opened in the lists of two users', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    const bob = story.logIn(100, { user: 'bob' });
    story.list(ann, 200, [ann.sid, 'lost']);
    story.list(ann, 300, [ann.sid, 'lost']);
    const wrong = story.list(bob, 400, [bob.sid, 'lost']);
    expect(story.violations()).toEqual([`I${wrong.id}`]);
  });

  it('finds another session called current, none, both, and one that is listed twice', () => {
    const story = tellStory();
    const [ann, other] = [story.logIn(100), story.logIn(100)];
    const both = [ann.sid, other.sid];
    story.list(ann, 200, both);
    const wrong = [
      story.list(ann, 200, both, [other.sid]),
      story.list(ann, 200, both, []),
      story.list(ann, 200, both, both),
      story.list(ann, 200, [...both, other.sid]),
    ];
    expect(story.violations()).toEqual(wrong.map(({ id }) => `I${id}`));
  });

  it('takes a list without the session that asks, where that may have ended meanwhile', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.ask('logout', 200, { token: ann.access.id });
    story.list(ann, 205, [], []);
    expect(story.violations()).toEqual([]);
  });
});

describe('rule J', () => {
  it('finds a yes and a no while there was no database', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.away([1000, 2000]);
    story.ask('session', 1500, { token: ann.access.id, outcome: 'unknown', status: 503 });
    const wrong = [
      story.introspect(ann.access, [1001, 1999], true),
      story.refuse('session', ann.access, 1500),
      story.ask('login', 1500, {
        user: 'ann',
        password: 0,
        outcome: 'refused',
        error: 'invalid_credentials',
      }),
    ];
    expect(story.violations().toSorted()).toEqual(wrong.map(({ id }) => `J${id}`).toSorted());
    expect(story.check().counts).toMatchObject({ applied: { J: 4 }, judged: { 'J absences': 1 } });
  });

  it('takes an answer that may have been decided before or after, and a limit', () => {
    const story = tellStory();
    const ann = story.logIn(100);
    story.away([3000, 4000]);
    story.away([1000, 2000]);
    story.introspect(ann.access, [1000, 1500], true);
    story.introspect(ann.access, [1500, 2000], true);
    story.introspect(ann.access, [2000, 3000], true);
    story.introspect(ann.access, [900, 4100], true);
    story.refuse('session', ann.access, 3500, 'too_many_requests', { status: 429 });
    expect(story.violations()).toEqual([]);
  });
});
