// /admin/users: added, found and changed; and what a change does to tokens, at once and on every replica.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { accountOf } from '../../../src/domain/guessing/guesses.js';
import { LOGIN_LIMITS } from '../../../src/domain/guessing/throttle.js';
import { basic, bearer, claimsOf, introspect, login, openHouse, refresh } from '../../support/house.js';
import type { House, Replica, TestClient, TestUser, TokenPair } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';

let house: House;
let replica: Replica;
let other: Replica;
let operator: TestClient;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  other = await house.replica();
  operator = await house.client(['users:read', 'users:write', 'sessions:read']);
  client = await house.client(['introspect']);
});
afterAll(() => house.close());

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function call(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  payload?: object,
): Promise<Answer> {
  const headers = basic(operator);
  const ask = () =>
    replica.app.inject({ method, url: `/admin/${path}`, headers, ...(payload && { payload }) });
  const answer = await retryOn503(ask);
  return { status: answer.statusCode, body: answer.body === '' ? {} : answer.json() };
}

async function isActive(pair: TokenPair): Promise<boolean> {
  return (await introspect(other, client, pair.access_token)).json<{ active: boolean }>().active;
}

async function renew(pair: TokenPair): Promise<TokenPair> {
  const answer = await refresh(other, pair.refresh_token);
  expect(answer.statusCode).toBe(200);
  return answer.json();
}

const GOOD = 'nine tall herons nap at noon';

describe('a user that is added', () => {
  it('logs in with the password that was given, or made', async () => {
    const given = await call('POST', 'users', {
      username: `Ada-${randomUUID()}`,
      scope: 'read write',
      password: GOOD,
    });
    const username = String(given.body['username']);
    expect(given).toEqual({
      status: 201,
      body: {
        id: expect.any(String) as string,
        username: username.toLowerCase(),
        scope: 'read write',
        client_id: null,
        external_id: null,
        created_at: expect.stringMatching(/Z$/) as string,
        disabled_at: null,
        has_password: true,
        locked_until: null,
      },
    });
    const pair = await login(replica, { id: '', username, password: GOOD });
    expect(claimsOf(pair.access_token)).toMatchObject({
      sub: given.body['id'],
      username,
      scope: 'read write',
    });
    const made = await call('POST', 'users', { username: `bob-${randomUUID()}`, generate_password: true });
    expect(made.body['password']).toMatch(/^\w{24}$/);
    const { id, username: name, password } = made.body as unknown as TestUser;
    expect(claimsOf((await login(other, { id, username: name, password })).access_token).sub).toBe(id);
    expect((await call('GET', `users/${id}`)).body).not.toHaveProperty('password');
  });

  it('has no password where none is given, and fails to log in like anybody whose password is wrong', async () => {
    const username = `invited-${randomUUID()}`;
    const added = await call('POST', 'users', { username, scope: 'read' });
    expect(added).toMatchObject({ status: 201, body: { username, scope: 'read', has_password: false } });
    expect(added.body).not.toHaveProperty('password');
    const user = await house.user();
    const fail = async (name: string, password: string) => {
      const payload = { username: name, password };
      const answer = await retryOn503(() => replica.app.inject({ method: 'POST', url: '/login', payload }));
      const { instance: _, ...problem } = answer.json<Record<string, unknown>>();
      return [answer.statusCode, problem];
    };
    const wrong = await fail(user.username, 'not the password');
    for (const password of ['', 'null', GOOD]) expect(await fail(username, password)).toEqual(wrong);
    const { id } = added.body as { id: string };
    expect((await call('PATCH', `users/${id}`, { password: GOOD })).body['has_password']).toBe(true);
    expect(await isActive(await login(replica, { id, username, password: GOOD }))).toBe(true);
  });

  it.each([
    ['no name', { generate_password: true }],
    ['two passwords', { username: 'eve', password: GOOD, generate_password: true }],
    ['a bad name', { username: 'two words', generate_password: true }],
    ['a bad password', { username: 'eve', password: 'short' }],
    ['half a character in the password', { username: 'eve', password: `${GOOD}\ud800` }],
    ['a bad scope', { username: 'eve', scope: 'a  b', generate_password: true }],
    ['a scope that says something twice', { username: 'eve', scope: 'a a', generate_password: true }],
    ['an unknown member', { username: 'eve', generate_password: true, admin: true }],
  ])('is refused with %s', async (_name, payload) => {
    const { status, body } = await call('POST', 'users', payload);
    expect([status, body['error']]).toEqual([400, 'invalid_request']);
  });

  it('is refused a name and a scope that make tokens too long, and so is a change', async () => {
    const issuer = `http://gatehouse.test/${'x'.repeat(1200)}`;
    const wordy = await house.replica({ config: { issuer } });
    const user = await house.user();
    const scope = 'x'.repeat(1024);
    const payload = { username: 'e'.repeat(200), scope, generate_password: true };
    const headers = basic(operator);
    const answers = [
      await wordy.app.inject({ method: 'POST', url: '/admin/users', headers, payload }),
      await wordy.app.inject({
        method: 'PATCH',
        url: `/admin/users/${user.id}`,
        headers,
        payload: { scope },
      }),
    ];
    for (const answer of answers) {
      expect(answer.statusCode).toBe(400);
      expect(answer.json<{ detail: string }>().detail).toContain('3800 characters');
    }
    expect((await call('GET', `users/${user.id}`)).body['scope']).toBe('');
  });

  it('is refused a name that somebody has, however it is spelt', async () => {
    const { username } = await house.user();
    const taken = await call('POST', 'users', { username: username.toUpperCase(), generate_password: true });
    expect([taken.status, taken.body['error']]).toEqual([409, 'username_taken']);
  });
});

describe('users are found', () => {
  it('by id, by name in any spelling, by whether they may log in, and page by page', async () => {
    const users = [await house.user(), await house.user(), await house.user()] as const;
    const [ada] = users;
    const { body } = await call('GET', `users/${ada.id}`);
    expect(body).toMatchObject({ id: ada.id, username: ada.username, scope: '', disabled_at: null });
    const byName = await call('GET', `users?username=${ada.username.toUpperCase()}`);
    expect(byName.body).toEqual({ users: [body], next: null });
    expect((await call('GET', 'users?username=two%20words')).body).toEqual({ users: [], next: null });
    const first = (await call('GET', 'users?limit=2')).body as { users: { id: string }[]; next: string };
    expect(first.users.map(({ id }) => id)).toEqual([users[2].id, users[1].id]);
    const second = (await call('GET', `users?limit=2&after=${first.next}`)).body as {
      users: { id: string }[];
    };
    expect(second.users[0]?.id).toBe(ada.id);
    await call('PATCH', `users/${ada.id}`, { disabled: true });
    const disabled = (await call('GET', 'users?disabled=true')).body as { users: { id: string }[] };
    expect(disabled.users.map(({ id }) => id)).toEqual([ada.id]);
    const enabled = (await call('GET', 'users?disabled=false')).body as { users: { id: string }[] };
    expect(enabled.users.map(({ id }) => id)).not.toContain(ada.id);
    for (const id of [randomUUID(), 'x']) expect((await call('GET', `users/${id}`)).status).toBe(404);
    for (const query of ['disabled=yes', 'limit=0', 'after=x', 'name=x'])
      expect((await call('GET', `users?${query}`)).status).toBe(400);
  });
});

describe('a user whose account is locked', () => {
  /** As if so many attempts had been wrong: the throttle counts in these rows. */
  async function spend(username: string, budget: string, points: number, expire: number): Promise<void> {
    await house.database.admin.query(
      `INSERT INTO login_attempts (key, points, expire) VALUES ($1, $2, $3)
       ON CONFLICT (key) DO UPDATE SET points = excluded.points, expire = excluded.expire`,
      [`${budget}:${accountOf(username)}`, points, expire],
    );
  }

  it('is shown with the time from which on everybody may try again, and with none before and afterwards', async () => {
    const user = await house.user();
    const lockedUntil = async () => (await call('GET', `users/${user.id}`)).body['locked_until'];
    const inAnHour = Date.now() + 3_600_000;
    const later = inAnHour + 1000;
    await spend(user.username, 'account', LOGIN_LIMITS.account.points - 1, inAnHour);
    expect(await lockedUntil()).toBeNull();
    await spend(user.username, 'account', LOGIN_LIMITS.account.points, inAnHour);
    expect(await lockedUntil()).toBe(new Date(inAnHour).toISOString());
    await spend(user.username, 'familiarAccount', LOGIN_LIMITS.familiarAccount.points, later);
    expect(await lockedUntil()).toBe(new Date(later).toISOString());
    await spend(user.username, 'account', LOGIN_LIMITS.account.points, Date.now() - 1);
    await spend(user.username, 'familiarAccount', LOGIN_LIMITS.familiarAccount.points, Date.now() - 1);
    expect(await lockedUntil()).toBeNull();
  });

  it('is locked when real attempts were too many, and a network alone locks nobody', async () => {
    const user = await house.user();
    const attempt = async (ip: string) => {
      const payload = { username: user.username, password: 'not the password' };
      const send = () =>
        behind.app.inject({
          method: 'POST',
          url: '/login',
          payload,
          headers: { 'x-forwarded-for': ip },
        });
      return (await retryOn503(send)).statusCode;
    };
    const behind = await house.replica({ config: { trustProxy: ['127.0.0.1/32'] } });
    const lockedUntil = async () => (await call('GET', `users/${user.id}`)).body['locked_until'];
    while ((await attempt('198.51.100.1')) === 401);
    expect(await lockedUntil()).toBeNull();
    for (let network = 2; (await attempt(`198.51.${network}.1`)) === 401; network += 1);
    const until = Date.parse(String(await lockedUntil()));
    expect(until).toBeGreaterThan(Date.now());
    expect(until).toBeLessThanOrEqual(Date.now() + 3_600_000);
    const list = (await call('GET', `users?username=${user.username}`)).body as { users: object[] };
    expect(list.users).toEqual([(await call('GET', `users/${user.id}`)).body]);
  });
});

describe('unlocking', () => {
  /** Wrong attempts until one is refused. */
  async function lock({ username }: TestUser): Promise<void> {
    const payload = { username, password: 'not the password' };
    const attempt = () => replica.app.inject({ method: 'POST', url: '/login', payload });
    while ((await retryOn503(attempt)).statusCode === 401);
  }

  async function attempt({ username, password }: TestUser): Promise<number> {
    const send = () => replica.app.inject({ method: 'POST', url: '/login', payload: { username, password } });
    return (await retryOn503(send)).statusCode;
  }

  it('lets the user in at once, and nobody else', async () => {
    const [user, another] = [await house.user(), await house.user()];
    await lock(user);
    await lock(another);
    expect(await attempt(user)).toBe(429);
    for (let time = 0; time < 2; time += 1)
      expect(await call('POST', `users/${user.id}/unlock`)).toEqual({ status: 204, body: {} });
    expect(await attempt(user)).toBe(200);
    expect(await attempt(another)).toBe(429);
  });

  it('comes with a new password, and not with another scope', async () => {
    const user = await house.user();
    await lock(user);
    await call('PATCH', `users/${user.id}`, { scope: 'read' });
    expect(await attempt(user)).toBe(429);
    expect((await call('PATCH', `users/${user.id}`, { password: GOOD })).body['locked_until']).toBeNull();
    expect(await attempt({ ...user, password: GOOD })).toBe(200);
  });

  it('is refused for who is not there, and with what it does not know', async () => {
    const user = await house.user();
    for (const id of [randomUUID(), 'x']) expect((await call('POST', `users/${id}/unlock`)).status).toBe(404);
    expect((await call('POST', `users/${user.id}/unlock`, { force: true })).status).toBe(400);
  });
});

describe('another scope or name', () => {
  it.each([
    ['scope', { scope: 'read' }],
    ['name', { username: `renamed-${randomUUID()}` }],
  ])('(%s) ends access tokens at once, and a refresh gives what is true now', async (_what, change) => {
    const user = await house.user({ scope: 'read write' });
    const pair = await login(replica, user);
    expect(await isActive(pair)).toBe(true);
    const changed = await call('PATCH', `users/${user.id}`, change);
    expect(changed).toMatchObject({ status: 200, body: { id: user.id, ...change } });
    expect(await isActive(pair)).toBe(false);
    expect((await other.app.inject({ url: '/session', headers: bearer(pair.access_token) })).statusCode).toBe(
      401,
    );
    const renewed = await renew(pair);
    expect(await isActive(renewed)).toBe(true);
    expect(claimsOf(renewed.access_token)).toMatchObject({ ...change, ver: 1 });
    // The same again changes nothing.
    expect((await call('PATCH', `users/${user.id}`, change)).status).toBe(200);
    expect(await isActive(renewed)).toBe(true);
    // And back: what was minted before both stays dead.
    await call('PATCH', `users/${user.id}`, { scope: 'read write', username: user.username });
    expect(await isActive(pair)).toBe(false);
    expect(claimsOf((await renew(renewed)).access_token)).toMatchObject({ scope: 'read write', ver: 2 });
  });

  it('is refused where somebody else has the name, also in the same moment', async () => {
    const users = await Promise.all(Array.from({ length: 6 }, () => house.user()));
    const [first] = users as [TestUser];
    const taken = await call('PATCH', `users/${users[1]?.id}`, { username: first.username, scope: 'read' });
    expect([taken.status, taken.body['error']]).toEqual([409, 'username_taken']);
    expect((await call('GET', `users/${users[1]?.id}`)).body['scope']).toBe('');
    const username = `wanted-${randomUUID()}`;
    const answers = await Promise.all(users.map(({ id }) => call('PATCH', `users/${id}`, { username })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409]);
  });

  it('of several at once to one user is each made, or each is told', async () => {
    const user = await house.user();
    const scopes = ['a', 'b', 'c', 'd'];
    const answers = await Promise.all(scopes.map((scope) => call('PATCH', `users/${user.id}`, { scope })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const { rows } = await house.database.admin.query<{ ver: string; scope: string }>(
      'SELECT ver, scope FROM users WHERE id = $1',
      [user.id],
    );
    expect(rows[0]?.ver).toBe('4');
    expect(scopes).toContain(rows[0]?.scope);
  });
});

describe('an end', () => {
  it('by disabling stays one when the user is enabled again', async () => {
    const user = await house.user();
    const pair = await login(replica, user);
    const disabled = await call('PATCH', `users/${user.id}`, { disabled: true });
    expect(disabled.body['disabled_at']).toMatch(/Z$/);
    expect(await isActive(pair)).toBe(false);
    const again = await call('PATCH', `users/${user.id}`, { disabled: true, scope: 'read' });
    expect(again.body).toMatchObject({ disabled_at: disabled.body['disabled_at'], scope: 'read' });
    expect((await call('PATCH', `users/${user.id}`, { disabled: false })).body['disabled_at']).toBeNull();
    expect(await isActive(pair)).toBe(false);
    expect(await isActive(await login(replica, user))).toBe(true);
    const url = `/admin/revocations?user_id=${user.id}`;
    const { revocations } = (await replica.app.inject({ url, headers: basic(operator) })).json<{
      revocations: Record<string, unknown>[];
    }>();
    expect(revocations).toMatchObject([
      { reason: 'user_disabled', actor: `client:${operator.id}`, liftable: false },
    ]);
  });

  it('by a new password leaves the old one worth nothing', async () => {
    const user = await house.user();
    const pair = await login(replica, user);
    expect((await call('PATCH', `users/${user.id}`, { password: 'short' })).status).toBe(400);
    expect(await isActive(pair)).toBe(true);
    expect((await call('PATCH', `users/${user.id}`, { password: GOOD })).status).toBe(200);
    expect(await isActive(pair)).toBe(false);
    await expect(login(replica, user)).rejects.toThrow('401');
    expect(await isActive(await login(replica, { ...user, password: GOOD }))).toBe(true);
  });
});

describe('what is kept about a user', () => {
  it('is shown as a whole, without a hash, and not what is about others', async () => {
    const [user, stranger] = [await house.user({ scope: 'read' }), await house.user()];
    const pairs = [await login(replica, user), await login(other, user)] as const;
    await login(replica, stranger);
    await replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(pairs[0].access_token) });
    const wrong = { username: user.username, password: 'not the password' };
    await replica.app.inject({ method: 'POST', url: '/login', payload: wrong });
    expect((await call('GET', `users/${user.id}/export`)).body).toMatchObject({ code_expires_at: null });
    await call('POST', `users/${user.id}/password-reset`);
    const { status, body } = await call('GET', `users/${user.id}/export`);
    expect(status).toBe(200);
    expect(body).toEqual({
      user: (await call('GET', `users/${user.id}`)).body,
      attempts: expect.arrayContaining([
        { limit: 'familiar_account', attempts: 1, until: expect.stringMatching(/Z$/) as string },
        { limit: 'pair_hour', attempts: 1, until: expect.stringMatching(/Z$/) as string },
      ]) as unknown,
      known_networks: [{ until: expect.stringMatching(/Z$/) as string }],
      code_expires_at: expect.stringMatching(/Z$/) as string,
      sessions: (await call('GET', `sessions?user_id=${user.id}`)).body['sessions'],
      revocations: (await call('GET', `revocations?user_id=${user.id}`)).body['revocations'],
      events: expect.any(Array) as unknown,
      next: null,
    });
    const events = body['events'] as { type: string; user_id: string }[];
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['session.opened', 'session.ended', 'user.added']),
    );
    expect(new Set(events.map(({ user_id: id }) => id))).toEqual(new Set([user.id]));
    expect(body['sessions']).toHaveLength(2);
    expect(body['revocations']).toMatchObject([{ reason: 'logout', user_id: user.id }]);
    expect(JSON.stringify(body)).not.toMatch(/argon2|hash|familiar:/);
  });

  it('comes in parts where it is much, each row once', async () => {
    const user = await house.user();
    const { admin } = house.database;
    await admin.query(
      `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
       SELECT gen_random_uuid(), $1, 0, at, at, at, at + interval '90 days'
       FROM generate_series(1, 2100), (SELECT clock_timestamp() AS at) AS opening`,
      [user.id],
    );
    await admin.query(
      `INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
       SELECT gen_random_uuid(), 'token', $1, 'revoked', 'client:test', clock_timestamp(), clock_timestamp() + interval '1 day'
       FROM generate_series(1, 1200)`,
      [user.id],
    );
    await admin.query(
      `INSERT INTO events (id, type, outcome, actor, user_id)
       SELECT ('019b0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'session.opened', 'ok', 'gatehouse', $1
       FROM generate_series(1, 999) AS n`,
      [user.id],
    );
    const lists = ['sessions', 'revocations', 'events'] as const;
    const ids = { sessions: new Set<string>(), revocations: new Set<string>(), events: new Set<string>() };
    const sizes: number[][] = [];
    for (let after = ''; ;) {
      const { body } = await call('GET', `users/${user.id}/export${after}`);
      const part = body as unknown as Record<keyof typeof ids, { id: string }[]> & { next: string | null };
      sizes.push(lists.map((list) => part[list].length));
      for (const list of lists) for (const { id } of part[list]) ids[list].add(id);
      if (part.next === null) break;
      after = `?after=${encodeURIComponent(part.next)}`;
    }
    expect(sizes).toEqual([
      [1000, 0, 0],
      [1000, 0, 0],
      [100, 1000, 0],
      [0, 200, 1000],
    ]);
    // One more tells that the user was added.
    expect(lists.map((list) => ids[list].size)).toEqual([2100, 1200, 1000]);
  });

  it('is refused for nobody, and for the place of another list', async () => {
    const [user, another] = [await house.user(), await house.user()];
    for (const id of [randomUUID(), 'x']) expect((await call('GET', `users/${id}/export`)).status).toBe(404);
    await Promise.all([login(replica, another), login(replica, another)]);
    const { next } = (await call('GET', `sessions?user_id=${another.id}&limit=1`)).body;
    for (const after of ['x', '', 'revocations~', `sessions~${String(next)}`])
      expect([
        after,
        (await call('GET', `users/${user.id}/export?after=${encodeURIComponent(after)}`)).status,
      ]).toEqual([after, 400]);
  });
});

describe('a user who is deleted', () => {
  it('is out at once, is in no list, cannot be changed, and leaves the name to others', async () => {
    const user = await house.user();
    const pair = await login(replica, user);
    await call('PATCH', `users/${user.id}`, { disabled: true });
    expect(await call('DELETE', `users/${user.id}`)).toEqual({ status: 204, body: {} });
    expect(await isActive(pair)).toBe(false);
    expect((await refresh(other, pair.refresh_token)).statusCode).toBe(401);
    expect((await call('GET', `users/${user.id}`)).status).toBe(404);
    for (const filter of [`username=${user.username}`, `username=${user.id}`, 'disabled=true', 'limit=200'])
      expect(JSON.stringify((await call('GET', `users?${filter}`)).body)).not.toContain(user.id);
    for (const change of [{ disabled: false }, { username: `back-${randomUUID()}` }, { password: GOOD }, {}])
      expect((await call('PATCH', `users/${user.id}`, change)).status).toBe(404);
    const added = await call('POST', 'users', { username: user.username, password: GOOD });
    expect(added.status).toBe(201);
    const next = await login(other, { ...user, password: GOOD });
    expect(claimsOf(next.access_token).sub).toBe(added.body['id']);
    expect(await call('DELETE', `users/${user.id}`)).toEqual({ status: 204, body: {} });
    expect(await isActive(next)).toBe(true);
  });

  it('may have been gone before, or never have been', async () => {
    for (const id of [randomUUID(), 'x'])
      expect(await call('DELETE', `users/${id}`)).toEqual({ status: 204, body: {} });
  });
});

it('changes nobody who is not there, and nothing that is unknown', async () => {
  for (const id of [randomUUID(), 'x']) {
    const { status, body } = await call('PATCH', `users/${id}`, { scope: 'read' });
    expect([status, body['error']]).toEqual([404, 'not_found']);
  }
  const user = await house.user();
  for (const change of [{ epoch: 1 }, { scope: null }, { disabled: 'yes' }, { username: '' }, [], 'x'])
    expect((await call('PATCH', `users/${user.id}`, change as object)).status).toBeGreaterThanOrEqual(400);
  expect((await call('PATCH', `users/${user.id}`, {})).body).toMatchObject({ id: user.id, scope: '' });
});
