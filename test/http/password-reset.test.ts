// A code sets a password: once, for who it was made for, and not any more when anything else has ended the user's sessions since.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { accountOf } from '../../src/domain/guessing/guesses.js';
import { LOGIN_LIMITS } from '../../src/domain/guessing/throttle.js';
import { findCode, pruneCodes } from '../../src/domain/passwords/codes.js';
import { problemOf } from '../support/answers.js';
import { basic, bearer, introspect, login, openHouse, refresh } from '../support/house.js';
import type { House, Replica, TestClient, TestUser } from '../support/house.js';
import { retryOn503 } from '../support/retry.js';
import { holdRow } from '../support/row-lock.js';

const GOOD = 'nine tall herons nap at noon';

let house: House;
let replica: Replica;
let other: Replica;
let operator: TestClient;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  other = await house.replica();
  operator = await house.client(['users:read', 'users:write', 'sessions:read', 'sessions:end']);
  client = await house.client(['introspect']);
});
afterAll(() => house.close());

function admin(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, payload?: object) {
  const headers = basic(operator);
  return retryOn503(() =>
    replica.app.inject({ method, url: `/admin/${path}`, headers, ...(payload && { payload }) }),
  );
}

async function makeCode({ id }: Pick<TestUser, 'id'>, payload?: object): Promise<string> {
  const answer = await admin('POST', `users/${id}/password-reset`, payload);
  if (answer.statusCode !== 200) throw new Error(answer.body);
  return answer.json<{ code: string }>().code;
}

function reset(code: string, password = GOOD, on = other) {
  const payload = { code, new_password: password };
  return retryOn503(() => on.app.inject({ method: 'POST', url: '/password/reset', payload }));
}

async function expectVoid(code: string): Promise<void> {
  const refused = problemOf(await reset(code));
  expect(refused).toMatchObject({ status: 401, error: 'invalid_credentials' });
  const unknown = problemOf(await reset('a'.repeat(26)));
  expect(refused).toEqual(unknown);
}

describe('a code', () => {
  it('sets a password once, ends every session, and is shown as no more than it is', async () => {
    const user = await house.user();
    const pair = await login(replica, user);
    const issued = await admin('POST', `users/${user.id}/password-reset`);
    expect(issued.json()).toEqual({
      code: expect.stringMatching(/^[a-z2-7]{26}$/) as string,
      expires_in: 900,
    });
    expect((await introspect(other, client, pair.access_token)).json()).toMatchObject({ active: true });
    const { code } = issued.json<{ code: string }>();
    const done = await reset(code);
    expect([done.statusCode, done.body, done.headers['set-cookie']]).toEqual([204, '', undefined]);
    expect((await introspect(replica, client, pair.access_token)).body).toBe('{"active":false}');
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
    await expect(login(replica, user)).rejects.toThrow('401');
    await login(replica, { ...user, password: GOOD });
    const { rows } = await house.database.admin.query(
      'SELECT reason, actor, kind::text FROM revocations WHERE user_id = $1',
      [user.id],
    );
    expect(rows).toEqual([{ reason: 'password_changed', actor: `user:${user.id}`, kind: 'user' }]);
    await expectVoid(code);
    await login(replica, { ...user, password: GOOD });
  });

  it('invites a user without a password', async () => {
    const username = `invited-${randomUUID()}`;
    const { id } = (await admin('POST', 'users', { username })).json<{ id: string }>();
    const code = await makeCode({ id }, { expires_in: 604_800 });
    expect((await reset(code)).statusCode).toBe(204);
    expect((await admin('GET', `users/${id}`)).json()).toMatchObject({ has_password: true });
    await login(other, { id, username, password: GOOD });
  });

  it('unlocks the account', async () => {
    const user = await house.user();
    const code = await makeCode(user);
    const payload = { username: user.username, password: 'not the password' };
    const attempt = () => other.app.inject({ method: 'POST', url: '/login', payload });
    while ((await retryOn503(attempt)).statusCode === 401);
    expect((await reset(code)).statusCode).toBe(204);
    await login(other, { ...user, password: GOOD });
    const { rows } = await house.database.admin.query('SELECT FROM login_attempts WHERE key = $1', [
      `account:${accountOf(user.username)}`,
    ]);
    expect(rows).toEqual([]);
  });

  it('is used up by no new password that is refused', async () => {
    const user = await house.user();
    const code = await makeCode(user);
    for (const password of ['short', user.username, `${GOOD}\u0007`, 'passwordpassword']) {
      const refused = problemOf(await reset(code, password));
      expect(refused).toMatchObject({ status: 400, errors: [{ path: 'body/new_password' }] });
    }
    await login(other, user);
    expect((await reset(code)).statusCode).toBe(204);
  });

  it('is that of one user alone, and of several the last', async () => {
    const [ada, ben] = [await house.user(), await house.user()];
    const codes = [await makeCode(ada), await makeCode(ben), await makeCode(ada)] as const;
    await expectVoid(codes[0]);
    expect((await reset(codes[1])).statusCode).toBe(204);
    await login(other, ada);
    expect((await reset(codes[2])).statusCode).toBe(204);
    await login(other, { ...ada, password: GOOD });
  });

  it('is a hash in the database, which goes when it has expired', async () => {
    const user = await house.user();
    const code = await makeCode(user, { expires_in: 1 });
    const { rows } = await house.database.admin.query<{ text: string }>(
      'SELECT c::text AS text FROM password_codes AS c',
    );
    expect(rows.filter(({ text }) => text.includes(code))).toEqual([]);
    await house.database.admin.query(
      'UPDATE password_codes SET expires_at = clock_timestamp() WHERE user_id = $1',
      [user.id],
    );
    await expectVoid(code);
    expect(await pruneCodes(replica.database)).toBe(1);
  });
});

const VOIDED: [string, (user: TestUser, access: string) => Promise<{ statusCode: number }>][] = [
  ['a new password by an operator', ({ id }) => admin('PATCH', `users/${id}`, { password: `${GOOD} too` })],
  ['disabling', ({ id }) => admin('PATCH', `users/${id}`, { disabled: true })],
  [
    'disabling and enabling',
    async ({ id }) => {
      await admin('PATCH', `users/${id}`, { disabled: true });
      return await admin('PATCH', `users/${id}`, { disabled: false });
    },
  ],
  ['the deletion', ({ id }) => admin('DELETE', `users/${id}`)],
  [
    'logging out everywhere',
    (_user, access) =>
      other.app.inject({ method: 'POST', url: '/logout-all', headers: bearer(access), payload: {} }),
  ],
  ['an operator’s end', ({ id }) => admin('POST', 'revocations', { user_ids: [id] })],
  ['an end of everything', () => admin('POST', 'revocations', { all: true, opened_before: 'now' })],
];

describe.each(VOIDED)('after %s', (_what, end) => {
  it('a code counts no more', async () => {
    const user = await house.user();
    const { access_token: access } = await login(other, user);
    const code = await makeCode(user);
    expect((await end(user, access)).statusCode).toBeLessThan(300);
    await expectVoid(code);
  });

  it('a code counts no more either when both meet on the user’s row', async () => {
    const user = await house.user();
    const { access_token: access } = await login(other, user);
    const code = await makeCode(user);
    const lock = await holdRow(house.database, 'SELECT FROM users WHERE id = $1 FOR UPDATE', user.id);
    const using = reset(code);
    await lock.queue(1);
    const ending = end(user, access);
    await lock.release();
    const [used] = await Promise.all([using, ending]);
    // Whichever was first: nothing is left to use.
    expect([204, 401]).toContain(used.statusCode);
    expect(await findCode(replica.database, code)).toBeNull();
  });
});

it('of two uses at once one sets its password', async () => {
  const user = await house.user();
  const code = await makeCode(user);
  const lock = await holdRow(house.database, 'SELECT FROM users WHERE id = $1 FOR UPDATE', user.id);
  const passwords = [GOOD, `${GOOD} again`];
  const uses = passwords.map((password, place) => reset(code, password, place === 0 ? replica : other));
  await lock.queue(2);
  await lock.release();
  const statuses = (await Promise.all(uses)).map(({ statusCode }) => statusCode);
  expect(statuses.toSorted()).toEqual([204, 401]);
  const password = passwords[statuses.indexOf(204)] ?? '';
  await login(replica, { ...user, password });
});

describe('an operator is refused', () => {
  it.each([0, -1, 1.5, 604_801, '900', null])('a code that expires in %j', async (expiresIn) => {
    const { id } = await house.user();
    const answer = await admin('POST', `users/${id}/password-reset`, { expires_in: expiresIn });
    expect(problemOf(answer)).toMatchObject({ status: 400, error: 'invalid_request' });
  });

  it('a code for nobody, and for a user who is disabled or deleted', async () => {
    const [disabled, deleted] = [await house.user(), await house.user()];
    await admin('PATCH', `users/${disabled.id}`, { disabled: true });
    await admin('DELETE', `users/${deleted.id}`);
    const refused = await admin('POST', `users/${disabled.id}/password-reset`);
    expect(problemOf(refused)).toMatchObject({ status: 409, error: 'user_disabled' });
    for (const id of [deleted.id, randomUUID(), 'x'])
      expect((await admin('POST', `users/${id}/password-reset`)).statusCode).toBe(404);
  });
});

describe('wrong codes', () => {
  it('are counted for their network before anything is hashed, and right ones are refunded', async () => {
    const behind = await house.replica({ config: { trustProxy: ['127.0.0.1/32'] } });
    const send = (code: string, ip: string) =>
      behind.app.inject({
        method: 'POST',
        url: '/password/reset',
        headers: { 'x-forwarded-for': ip },
        payload: { code, new_password: GOOD },
      });
    const statuses = new Map<number, number>();
    for (let turn = 0; turn < LOGIN_LIMITS.network.points; turn += 1) {
      const { statusCode } = await send(`wrong${turn}`, '203.0.113.9');
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
    }
    expect([...statuses]).toEqual([[401, LOGIN_LIMITS.network.points]]);
    const user = await house.user();
    const code = await makeCode(user);
    const refused = await send(code, '203.0.113.9');
    expect([refused.statusCode, Number(refused.headers['retry-after']) > 0]).toEqual([429, true]);
    expect((await send(code, '203.0.113.200')).statusCode).toBe(204);
    const { rows } = await house.database.admin.query<{ points: number }>(
      `SELECT points FROM login_attempts WHERE key LIKE 'network:%'`,
    );
    expect(rows.map(({ points }) => points)).not.toContain(1);
  });

  it.each([
    ['no code', { new_password: GOOD }],
    ['no password', { code: 'x' }],
    ['an empty code', { code: '', new_password: GOOD }],
    ['a long code', { code: 'x'.repeat(201), new_password: GOOD }],
    ['another member', { code: 'x', new_password: GOOD, username: 'ada' }],
  ])('are malformed with %s', async (_what, payload) => {
    const answer = await other.app.inject({ method: 'POST', url: '/password/reset', payload });
    expect(problemOf(answer)).toMatchObject({ status: 400, error: 'invalid_request' });
  });
});
