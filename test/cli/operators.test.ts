// gatehouse sessions find/show and revocations find/show/add/lift: what /admin does, typed.
import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { inHouse, jsonInHouse } from '../support/command.js';
import {
  basic,
  claimsOf,
  introspect,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';

const ACTOR = `cli:${userInfo().username}`;

let house: House;
let replica: Replica;
let client: TestClient;
let operator: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client();
  operator = await house.client(['sessions:read']);
});
afterAll(() => house.close());

async function isActive(pair: TokenPair): Promise<boolean> {
  return (await introspect(replica, client, pair.access_token)).json<{ active: boolean }>().active;
}

async function print<Printed>(args: string[]): Promise<Printed> {
  return (await jsonInHouse(house, args)) as Printed;
}

async function get(path: string): Promise<unknown> {
  return (await replica.app.inject({ url: `/admin/${path}`, headers: basic(operator) })).json();
}

const WHEN = ['--since', '2020-01-01T00:00:00Z', '--until', '2999-01-01T00:00:00Z'];

describe('what is found', () => {
  it('is what /admin shows, page by page', async () => {
    const user = await house.user();
    const pairs = [await login(replica, user), await login(replica, user), await login(replica, user)];
    const of = ['sessions', 'find', '--user-id', user.id, '--limit', '2'];
    const first = await print<{ next: string }>(of);
    expect(first).toEqual(await get(`sessions?user_id=${user.id}&limit=2`));
    const second = await print([...of, '--after', first.next]);
    expect(second).toMatchObject({ sessions: [{ id: pairs[0]?.session_id, live: true }], next: null });
    expect((await inHouse(house, of)).stdout).toMatch(new RegExp(`\\nmore: --after ${first.next}\\n$`));
    const [one] = pairs as [TokenPair];
    expect(await print(['sessions', 'show', one.session_id])).toEqual(
      await get(`sessions/${one.session_id}`),
    );
    expect((await inHouse(house, ['sessions', 'show', one.session_id])).stdout).toContain(
      `USER ID       ${user.id}\n`,
    );
    const found = await print<{ sessions: unknown[] }>([
      ...['sessions', 'find', '--ip', '127.0.0.0/8', ...WHEN],
      ...['--user-id', user.id],
    ]);
    expect(found.sessions).toHaveLength(3);
  });

  it('is refused for another list’s place, and for what is no id', async () => {
    const wrong = await inHouse(house, ['sessions', 'find', '--after', 'x']);
    expect([wrong.status, wrong.stderr]).toEqual([
      1,
      expect.stringContaining('leave it out to begin again') as string,
    ]);
    for (const noun of ['sessions', 'revocations']) {
      const unknown = await inHouse(house, [noun, 'show', randomUUID()]);
      expect([unknown.status, unknown.stdout]).toEqual([1, '']);
      expect((await inHouse(house, [noun, 'find', '--user-id', 'alice'])).status).toBe(2);
      for (const time of [
        'yesterday',
        '2026-02-30T00:00:00Z',
        '2026-11-31T00:00:00Z',
        '2026-11-30T24:00:00Z',
        '2026-11-30',
      ])
        expect([time, (await inHouse(house, [noun, 'find', '--since', time])).status]).toEqual([time, 2]);
      expect((await inHouse(house, [noun, 'find', '--since', '2024-02-29T23:59:59.5+01:00'])).status).toBe(0);
      expect((await inHouse(house, [noun, 'find', '--limit', '201'])).status).toBe(2);
    }
    expect((await inHouse(house, ['sessions', 'find', '--ip', '127.0.0.1'])).status).toBe(2);
  });
});

describe('revocations add', () => {
  it('ends sessions, says by whom, and is taken back by revocations lift', async () => {
    const pair = await login(replica, await house.user());
    const add = ['revocations', 'add', '--session-id', pair.session_id, '--note', 'laptop lost'];
    const would = await inHouse(house, [...add, '--dry-run']);
    expect(would.stdout).toMatch(/^1 session of 1 user: would end\nID {2,}USER ID/);
    expect(await isActive(pair)).toBe(true);
    const { ending_id: id } = await print<{ ending_id: string }>(add);
    expect(await isActive(pair)).toBe(false);
    const { revocations } = await print<{ revocations: { id: string }[] }>([
      ...['revocations', 'find', '--ending-id', id],
      ...['--actor', ACTOR],
    ]);
    expect(revocations).toMatchObject([
      {
        target: pair.session_id,
        actor: ACTOR,
        note: 'laptop lost',
        reason: 'ended_by_operator',
        liftable: true,
      },
    ]);
    const [row] = revocations as [{ id: string }];
    expect(await print(['revocations', 'show', row.id])).toEqual(row);
    const lifted = await inHouse(house, ['revocations', 'lift', row.id, '--note', 'found']);
    expect(lifted.stdout).toBe('the end is lifted; what it had ended is ended by nothing else\n');
    expect(await isActive(pair)).toBe(true);
    expect(await print(['revocations', 'show', row.id])).toMatchObject({
      lifted_by: ACTOR,
      lift_note: 'found',
    });
    expect(await print(['revocations', 'list', '--limit', '1'])).toMatchObject([
      { id: pair.session_id, lifted_at: expect.stringMatching(/Z$/) as string },
    ]);
  });

  it('ends what a token names, which comes by standard input', async () => {
    const pair = await login(replica, await house.user());
    const words = ['revocations', 'add', '--token-stdin', '--json'];
    expect(
      JSON.parse((await inHouse(house, words, { input: `${pair.access_token}\n` })).stdout),
    ).toMatchObject({
      sessions_ended: 0,
      tokens: 1,
    });
    expect(await isActive(pair)).toBe(false);
    expect(JSON.parse((await inHouse(house, words, { input: pair.refresh_token })).stdout)).toMatchObject({
      sessions_ended: 1,
    });
    for (const input of ['', 'x', 'a.b.c', 'a.e30.c'])
      expect((await inHouse(house, words, { input })).status).toBe(2);
    const { jti } = claimsOf((await login(replica, await house.user())).access_token);
    expect(await print(['revocations', 'add', '--jti', jti])).toMatchObject({ tokens: 1 });
  });

  it('ends users, networks and everything', async () => {
    const users = [await house.user(), await house.user()] as const;
    const pairs = [await login(replica, users[0]), await login(replica, users[1])] as const;
    const ended = await print(['revocations', 'add', '--user-id', users[0].id, '--user-id', users[0].id]);
    expect(ended).toMatchObject({ users: 1, sessions_ended: 1, liftable: false });
    expect([await isActive(pairs[0]), await isActive(pairs[1])]).toEqual([false, true]);
    const others = await login(replica, users[0]);
    const network = ['revocations', 'add', '--ip', '127.0.0.1', ...WHEN];
    const refused = await inHouse(house, [...network, '--max-sessions', '1']);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining('--max-sessions') as string,
    ]);
    expect(await isActive(others)).toBe(true);
    expect(await print(['revocations', 'add', '--ip', '127.0.0.1', ...WHEN])).toMatchObject({
      liftable: true,
    });
    expect(await isActive(others)).toBe(false);
    const last = await login(replica, users[1]);
    const past = ['--all', '--opened-before', '2020-01-01T00:00:00Z'];
    expect(await print(['revocations', 'add', ...past])).toMatchObject({ sessions_ended: 0 });
    expect(
      (await inHouse(house, ['revocations', 'add', '--all', '--opened-before', '2999-01-01T00:00:00Z']))
        .status,
    ).toBe(1);
    expect(await isActive(last)).toBe(true);
    await print(['revocations', 'add', '--all', '--opened-before', 'now']);
    expect(await isActive(last)).toBe(false);
  });

  it.each([
    [[]],
    [['--jti', `${randomUUID()}.0`, '--all', '--opened-before', 'now']],
    [['--all']],
    [['--opened-before', 'now']],
    [['--ip', '10.0.0.0/8']],
    [['--ip', '0.0.0.0/0', ...WHEN]],
    [['--session-id', randomUUID(), ...WHEN]],
    [['--session-id', 'x']],
    [['--jti', randomUUID()]],
    [['--session-id', randomUUID(), '--max-sessions', '10001']],
    [['--session-id', randomUUID(), '--reason', 'a leak']],
    [['--session-id', randomUUID(), '--note', 'a\u0007b']],
  ])('is wrong usage with %j, and ends nothing', async (options) => {
    const { status, stdout, stderr } = await inHouse(house, ['revocations', 'add', ...options]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).not.toBe('');
  });
});

describe('users', () => {
  it('are found and shown as /admin shows them', async () => {
    const reader = await house.client(['users:read']);
    const ask = async (path: string): Promise<unknown> =>
      (await replica.app.inject({ url: `/admin/${path}`, headers: basic(reader) })).json();
    const user = await house.user({ scope: 'read' });
    expect(await print(['users', 'show', user.username])).toEqual(await ask(`users/${user.id}`));
    expect(await print(['users', 'show', user.id])).toEqual(await ask(`users/${user.id}`));
    expect(await print(['users', 'find', '--limit', '2'])).toEqual(await ask('users?limit=2'));
    const byName = await print<{ users: unknown[] }>([
      'users',
      'find',
      '--username',
      user.username.toUpperCase(),
    ]);
    expect(byName.users).toEqual([await ask(`users/${user.id}`)]);
    await inHouse(house, ['users', 'disable', user.username]);
    const disabled = await print<{ users: unknown[] }>(['users', 'find', '--disabled', 'yes']);
    expect(disabled.users).toEqual([await ask(`users/${user.id}`)]);
    for (const name of ['nobody', randomUUID()])
      expect((await inHouse(house, ['users', 'show', name])).stderr).toContain('there is no user');
  });

  it('are given another name and scope, and their access tokens end', async () => {
    const user = await house.user({ scope: 'read' });
    const taken = await house.user();
    const pair = await login(replica, user);
    const change = ['users', 'change', user.username];
    expect((await inHouse(house, change)).status).toBe(2);
    expect((await inHouse(house, [...change, '--scope', 'a  b'])).status).toBe(2);
    const refused = await inHouse(house, [...change, '--username', taken.username]);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('of that name') as string]);
    expect(await isActive(pair)).toBe(true);
    expect(await print([...change, '--scope', ''])).toMatchObject({ id: user.id, scope: '' });
    expect(await isActive(pair)).toBe(false);
    const username = `renamed-${randomUUID()}`;
    expect(await print(['users', 'change', user.id, '--username', username])).toMatchObject({ username });
  });
});

it('users delete ends every session, by name or id, and frees the name', async () => {
  const [user, other] = [await house.user(), await house.user()];
  const pairs = [await login(replica, user), await login(replica, other)] as const;
  const { stdout } = await inHouse(house, ['users', 'delete', user.username.toUpperCase()]);
  expect(stdout).toBe(`${user.username} (${user.id}) is deleted, every session has ended\n`);
  expect([await isActive(pairs[0]), await isActive(pairs[1])]).toEqual([false, true]);
  expect(await print(['users', 'delete', other.id])).toEqual({ id: other.id, username: other.username });
  expect(await isActive(pairs[1])).toBe(false);
  for (const name of [user.username, user.id, 'nobody'])
    for (const verb of ['delete', 'show', 'enable'])
      expect((await inHouse(house, ['users', verb, name])).stderr).toContain('there is no user');
  await print(['users', 'add', user.username]);
  const { revocations } = await print<{ revocations: unknown[] }>([
    ...['revocations', 'find', '--user-id', user.id],
  ]);
  expect(revocations).toMatchObject([{ reason: 'user_deleted', actor: ACTOR, liftable: false }]);
});

it('users export prints what /admin shows, in one piece', async () => {
  const user = await house.user();
  const pair = await login(replica, user);
  await house.database.admin.query(
    `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
     SELECT gen_random_uuid(), $1, 0, at, at, at, at + interval '90 days'
     FROM generate_series(1, 1001), (SELECT clock_timestamp() AS at) AS opening`,
    [user.id],
  );
  const whole = await print<{ sessions: { id: string }[] }>(['users', 'export', user.username]);
  expect(whole).toMatchObject({ user: { id: user.id }, known_networks: [{}], revocations: [] });
  expect(whole).not.toHaveProperty('next');
  expect(whole.sessions).toHaveLength(1002);
  expect(whole.sessions.map(({ id }) => id)).toContain(pair.session_id);
  const plain = await inHouse(house, ['users', 'export', user.id]);
  expect(JSON.parse(plain.stdout)).toEqual(whole);
  expect((await inHouse(house, ['users', 'export', 'nobody'])).status).toBe(1);
});

it('users unlock and users password let the next attempt in', async () => {
  const user = await house.user();
  const attempt = async (password: string) => {
    const other = await house.replica();
    const payload = { username: user.username, password };
    return (await other.app.inject({ method: 'POST', url: '/login', payload })).statusCode;
  };
  const lock = async () => {
    while ((await attempt('not the password')) === 401);
  };
  await lock();
  const { stdout } = await inHouse(house, ['users', 'unlock', user.username]);
  expect(stdout).toBe(`${user.username} is not locked\n`);
  expect(await attempt(user.password)).toBe(200);
  await lock();
  const { password } = await print<{ password: string }>(['users', 'password', user.username]);
  expect(await attempt(password)).toBe(200);
  expect((await inHouse(house, ['users', 'unlock', 'nobody'])).status).toBe(1);
});

it('users reset makes a code that sets a password', async () => {
  const user = await house.user();
  const { code, expires_in } = await print<{ code: string; expires_in: number }>([
    ...['users', 'reset', user.username, '--expires-in', '2h'],
  ]);
  expect(expires_in).toBe(7200);
  const payload = { code, new_password: 'nine tall herons nap at noon' };
  const send = () => replica.app.inject({ method: 'POST', url: '/password/reset', payload });
  expect((await send()).statusCode).toBe(204);
  await login(replica, { ...user, password: payload.new_password });
  expect((await inHouse(house, ['users', 'reset', user.id])).stdout).toMatch(
    /within 15 min; .*: [a-z2-7]{26}\n$/,
  );
  for (const time of ['0s', '8d', '1.5h', '-1s', '900'])
    expect((await inHouse(house, ['users', 'reset', user.id, `--expires-in=${time}`])).status).toBe(2);
  await inHouse(house, ['users', 'disable', user.username]);
  const refused = await inHouse(house, ['users', 'reset', user.username]);
  expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('is disabled') as string]);
});

it('lifts nothing that is final, or not there', async () => {
  const pair = await login(replica, await house.user());
  await inHouse(house, ['sessions', 'end', pair.session_id]);
  expect((await inHouse(house, ['revocations', 'lift', pair.session_id])).stderr).toContain(
    'this end is final',
  );
  for (const id of [randomUUID(), 'x'])
    expect((await inHouse(house, ['revocations', 'lift', id])).stderr).toContain('there is no');
});
