// A change of password that meets another one, a login, a refresh or an end: one of them is first, and nothing is half done.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { changePassword, disableUser } from '../../../src/domain/users/users.js';
import { keepAttempts, openHeldReplica, type HeldReplica } from '../../support/held-replica.js';
import {
  bearer,
  login,
  postForm,
  refresh,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { holdRow, holdSession, type RowLock } from '../../support/row-lock.js';
import { logOut, logOutAll, openTwins, stateOf, stateOfRefresh, type Twins } from '../../support/twins.js';

let twins: Twins;
let held: HeldReplica;
let user: TestUser;
let mine: TokenPair;
let other: TokenPair;

beforeAll(async () => {
  twins = await openTwins();
  await twins.house.database.clock.release();
  held = await openHeldReplica(twins.house);
});
beforeEach(async () => {
  user = await twins.house.user();
  mine = await login(twins.one, user);
  other = await login(twins.two, user);
});
afterAll(async () => {
  await held.close();
  await twins.house.close();
});

const FIRST = 'correct horse battery staple';
const SECOND = 'vfr4 mountain lamp 83';

/** Insists, since judging a password may take too long on a busy machine. Then nothing was changed. */
function change(
  { app }: Replica,
  { access_token }: TokenPair,
  next: string,
): Promise<LightMyRequestResponse> {
  const payload = { current_password: user.password, new_password: next };
  const headers = bearer(access_token);
  return retryOn503(() => app.inject({ method: 'POST', url: '/password', headers, payload }));
}

async function mayLogIn(password: string): Promise<boolean> {
  const payload = { username: user.username, password };
  return (await twins.one.app.inject({ method: 'POST', url: '/login', payload })).statusCode === 200;
}

/** As a resource server does with a token that it holds. */
function revoke({ one }: Twins, token: string): Promise<LightMyRequestResponse> {
  return postForm(one, '/revoke', twins.client, { token });
}

function holdUser(): Promise<RowLock> {
  return holdRow(twins.house.database, 'SELECT FROM users WHERE id = $1 FOR UPDATE', user.id);
}

describe('two changes at once', () => {
  it.each([
    ['of two sessions', () => other, 'invalid_token'],
    ['of one session', () => mine, 'invalid_credentials'],
  ])(
    '%s have verified the same password: one wins, the other changes nothing',
    async (_what, first, refusal) => {
      const { reached, release } = held.hold();
      const late = change(held, mine, FIRST);
      await reached;
      expect((await change(twins.two, first(), SECOND)).statusCode).toBe(204);
      release();
      expect((await late).json()).toMatchObject({ status: 401, error: refusal });
      expect([await mayLogIn(user.password), await mayLogIn(FIRST), await mayLogIn(SECOND)]).toEqual([
        false,
        false,
        true,
      ]);
      expect(await stateOf(twins, first().access_token)).toBe('alive');
    },
  );

  it('wait for each other at the row: an operator who is second has the last word', async () => {
    const hash = await twins.house.hasher.hash(SECOND);
    const lock = await holdUser();
    const changing = change(twins.one, mine, FIRST);
    await lock.queue(1);
    const setting = changePassword(twins.two.database, user.username, hash);
    await lock.queue(2);
    await lock.release();
    expect([(await changing).statusCode, await setting]).toEqual([204, true]);
    expect([await mayLogIn(FIRST), await mayLogIn(SECOND)]).toEqual([false, true]);
    expect(await stateOf(twins, mine.access_token)).toBe('dead');
  });
});

describe('a change in flight', () => {
  /** Starts a change that has verified the password, lets the other thing happen, and then lets it go on. */
  async function changeBehind<Done>(happen: () => Promise<Done>): Promise<[LightMyRequestResponse, Done]> {
    const { reached, release } = held.hold();
    const changing = change(held, mine, FIRST);
    await reached;
    const done = await happen();
    release();
    return [await changing, done];
  }

  it.each([
    ['its session was logged out', () => logOut(twins.two, mine.access_token)],
    ['a client revoked its access token', () => revoke(twins, mine.access_token)],
    ['a client revoked the refresh token of its session', () => revoke(twins, mine.refresh_token)],
    ['everything was logged out', () => logOutAll(twins.two, other.access_token)],
    [
      'everything else was logged out',
      () => logOutAll(twins.two, other.access_token, { except_current: true }),
    ],
    ['the user was disabled', () => disableUser(twins.two.database, user.username)],
  ])('changes nothing when %s meanwhile', async (_what, end) => {
    const [changed] = await changeBehind<unknown>(end);
    expect(changed.json()).toMatchObject({ status: 401, error: 'invalid_token' });
    const { rows } = await twins.house.database.admin.query<{ reason: string }>(
      `SELECT reason FROM revocations WHERE user_id = $1 AND reason = 'password_changed'`,
      [user.id],
    );
    expect(rows).toEqual([]);
    expect(await stateOf(twins, mine.access_token)).toBe('dead');
  });

  it('changes nothing when an operator has set another password meanwhile', async () => {
    const hash = await twins.house.hasher.hash(SECOND);
    const [changed] = await changeBehind(() => changePassword(twins.two.database, user.username, hash));
    expect(changed.json()).toMatchObject({ status: 401, error: 'invalid_token' });
    expect([await mayLogIn(FIRST), await mayLogIn(SECOND)]).toEqual([false, true]);
  });

  it('succeeds when its own session has logged out all others meanwhile', async () => {
    const [changed] = await changeBehind(() =>
      logOutAll(twins.two, mine.access_token, { except_current: true }),
    );
    expect(changed.statusCode).toBe(204);
    expect(await stateOf(twins, mine.access_token)).toBe('alive');
  });

  it('succeeds when a login has hashed the same password anew meanwhile', async () => {
    const [changed] = await changeBehind(async () =>
      twins.house.database.admin.query('UPDATE users SET password_hash = $2 WHERE id = $1', [
        user.id,
        await twins.house.hasher.hash(user.password),
      ]),
    );
    expect(changed.statusCode).toBe(204);
    expect([await mayLogIn(user.password), await mayLogIn(FIRST)]).toEqual([false, true]);
  });

  it('is made, though it cannot be written down any more that the password was right', async () => {
    const { admin } = twins.house.database;
    const [changed] = await changeBehind(() => keepAttempts(twins)).finally(() =>
      admin.query('DROP FUNCTION keep CASCADE'),
    );
    expect(changed.statusCode).toBe(204);
    expect([await mayLogIn(user.password), await mayLogIn(FIRST)]).toEqual([false, true]);
  });

  it('keeps its session when that was refreshed meanwhile', async () => {
    const [changed, refreshed] = await changeBehind(() => refresh(twins.two, mine.refresh_token));
    expect(changed.statusCode).toBe(204);
    expect(await stateOf(twins, refreshed.json<TokenPair>().access_token)).toBe('alive');
    expect(await stateOfRefresh(twins, refreshed.json<TokenPair>().refresh_token)).toBe('alive');
  });
});

it.each([
  ['a logout', () => logOut(twins.two, mine.access_token)],
  ['a revoked refresh token', () => revoke(twins, mine.refresh_token)],
])('judges its session as it is when its turn at the rows has come: %s was first', async (_what, end) => {
  const lock = await holdUser();
  const changing = change(twins.one, mine, FIRST);
  await lock.queue(1);
  // The statement has begun, and its snapshot shows a session that has not ended.
  expect((await end()).statusCode).toBeLessThan(300);
  await lock.release();
  expect((await changing).json()).toMatchObject({ status: 401, error: 'invalid_token' });
  expect([await mayLogIn(user.password), await mayLogIn(FIRST)]).toEqual([true, false]);
});

it('is done before an end of its session that waits behind it, and the session ends all the same', async () => {
  const lock = await holdSession(twins.house.database, mine.session_id);
  const changing = change(twins.one, mine, FIRST);
  await lock.queue(1);
  const revoking = revoke(twins, mine.refresh_token);
  await lock.queue(2);
  await lock.release();
  expect([(await changing).statusCode, (await revoking).statusCode]).toEqual([204, 200]);
  expect([await mayLogIn(user.password), await mayLogIn(FIRST)]).toEqual([false, true]);
  expect(await stateOf(twins, mine.access_token)).toBe('dead');
  expect(await stateOfRefresh(twins, mine.refresh_token)).toBe('dead');
});

it('does not bring back the access token that asked for it, when a client revokes that afterwards', async () => {
  expect((await change(twins.one, mine, FIRST)).statusCode).toBe(204);
  expect((await revoke(twins, mine.access_token)).statusCode).toBe(200);
  expect(await stateOf(twins, mine.access_token)).toBe('dead');
  expect(await stateOfRefresh(twins, mine.refresh_token)).toBe('alive');
});

it('lets no login in that has verified the old password', async () => {
  const { reached, release } = held.hold();
  const payload = { username: user.username, password: user.password };
  const logging = held.app.inject({ method: 'POST', url: '/login', payload });
  await reached;
  expect((await change(twins.two, mine, FIRST)).statusCode).toBe(204);
  release();
  expect((await logging).json()).toMatchObject({ status: 401, error: 'invalid_credentials' });
});

it('leaves a refresh of the session that asks, which waits for it, a live token', async () => {
  const lock = await holdUser();
  const changing = change(twins.one, mine, FIRST);
  await lock.queue(1);
  const refreshing = refresh(twins.two, mine.refresh_token);
  await lock.release();
  const [changed, refreshed] = await Promise.all([changing, refreshing]);
  expect([changed.statusCode, refreshed.statusCode]).toEqual([204, 200]);
  expect(await stateOf(twins, refreshed.json<TokenPair>().access_token)).toBe('alive');
});
