// SESSIONS_PER_USER: a login beyond it is refused, also when two come at once, and nobody's session is ended for it.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { problemOf } from '../support/answers.js';
import { bearer, login, openHouse, type House, type Replica, type TestUser } from '../support/house.js';
import { holdRow } from '../support/row-lock.js';

const LIMIT = 3;

let house: House;
let one: Replica;
let two: Replica;
let user: TestUser;

beforeAll(async () => {
  house = await openHouse();
  one = await house.replica({ config: { sessionsPerUser: LIMIT } });
  two = await house.replica({ config: { sessionsPerUser: LIMIT } });
});
beforeEach(async () => {
  await house.database.clock.release();
  user = await house.user();
});
afterAll(() => house.close());

function logIn({ app }: Replica, { username, password }: TestUser) {
  return app.inject({ method: 'POST', url: '/login', payload: { username, password } });
}

async function countStanding(): Promise<number> {
  const { rows } = await house.database.admin.query<{ count: number }>(
    'SELECT count(*)::int FROM sessions WHERE user_id = $1 AND ended_at IS NULL',
    [user.id],
  );
  return rows[0]?.count ?? -1;
}

it('refuses the login beyond, and every session that there is lives on', async () => {
  const pairs = [await login(one, user), await login(two, user), await login(one, user)];
  for (const replica of [one, two]) {
    expect(problemOf(await logIn(replica, user))).toEqual({ status: 409, error: 'too_many_sessions' });
  }
  for (const { access_token: token } of pairs) {
    const { statusCode } = await one.app.inject({ url: '/session', headers: bearer(token) });
    expect(statusCode).toBe(200);
  }
  expect(await countStanding()).toBe(LIMIT);
});

it('refuses a wrong password as ever', async () => {
  for (let opened = 0; opened < LIMIT; opened += 1) await login(one, user);
  const refused = problemOf(await logIn(one, { ...user, password: 'wrong' }));
  expect(refused).toMatchObject({ status: 401, error: 'invalid_credentials' });
});

it('counts no session of another user', async () => {
  const other = await house.user();
  for (let opened = 0; opened < LIMIT; opened += 1) await login(one, other);
  await login(one, user);
});

it.each<[string, () => Promise<unknown>]>([
  [
    'has ended',
    () => house.database.admin.query('UPDATE sessions SET ended_at = now() WHERE user_id = $1', [user.id]),
  ],
  [
    'is of an epoch of before',
    () => house.database.admin.query('UPDATE users SET epoch = epoch + 1 WHERE id = $1', [user.id]),
  ],
  ['has expired', () => house.database.clock.advance(91 * 86_400)],
  [
    'was revoked',
    () =>
      house.database.admin.query(
        `INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
         SELECT id, 'session', user_id, 'logout', 'user', now(), expires_at FROM sessions WHERE user_id = $1`,
        [user.id],
      ),
  ],
])('counts no session that %s', async (_what, end) => {
  await house.database.clock.set(0);
  for (let opened = 0; opened < LIMIT; opened += 1) await login(one, user);
  await end();
  await login(two, user);
  await house.database.clock.set(0);
});

it('lets two logins that come at once not pass it by one', async () => {
  await login(one, user);
  await login(one, user);
  const lock = await holdRow(house.database, 'SELECT FROM users WHERE id = $1 FOR UPDATE', user.id);
  const answers = [logIn(one, user), logIn(two, user)];
  await lock.queue(2);
  await lock.release();
  const statuses = (await Promise.all(answers)).map(({ statusCode }) => statusCode);
  expect(statuses.sort()).toEqual([200, 409]);
  expect(await countStanding()).toBe(LIMIT);
});

it('opens as many as there is room for when more come at once', async () => {
  const answers = Array.from({ length: 8 }, (_, number) => logIn(number % 2 === 0 ? one : two, user));
  const statuses = (await Promise.all(answers)).map(({ statusCode }) => statusCode);
  expect(statuses.filter((status) => status === 200)).toHaveLength(LIMIT);
  expect(await countStanding()).toBe(LIMIT);
});

it('is off by default: any number is opened, and the row of the user is not written', async () => {
  const free = await house.replica();
  const version = async () =>
    (
      await house.database.admin.query<{ xmin: string }>('SELECT xmin::text FROM users WHERE id = $1', [
        user.id,
      ])
    ).rows;
  const before = await version();
  for (let opened = 0; opened <= LIMIT; opened += 1) await login(free, user);
  expect(await countStanding()).toBe(LIMIT + 1);
  expect(await version()).toEqual(before);
});
