// POST /password: the current password proves it, the new one ends every session and opens one, and guessing is no faster than at login.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { changePassword, disableUser, enableUser } from '../../src/domain/users/users.js';
import { MARKER, PLAIN_CHALLENGE, problemOf, TOKEN_CHALLENGE } from '../support/answers.js';
import { ACCESS, openBrowser, REFRESH, SAME_ORIGIN } from '../support/browser.js';
import {
  bearer,
  claimsOf,
  DEFAULTS,
  login,
  openHouse,
  postForm,
  refresh,
  type House,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';
import { START } from '../support/twins.js';

const NEW = 'correct horse battery staple';
const DEVICE = { ip: '192.0.2.1', userAgent: null };
const WRONG = { status: 401, error: 'invalid_credentials', challenge: PLAIN_CHALLENGE };

let house: House;
let replica: Replica;
let user: TestUser;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
beforeEach(async () => {
  await house.database.clock.release();
  user = await house.user();
  pair = await login(replica, user);
});
afterAll(() => house.close());

/** Insists, since judging a password may take too long on a busy machine. Then nothing was changed. */
function change(
  current: string,
  next: string,
  headers: Record<string, string> = bearer(pair.access_token),
): Promise<LightMyRequestResponse> {
  const payload = { current_password: current, new_password: next };
  return retryOn503(() => replica.app.inject({ method: 'POST', url: '/password', headers, payload }));
}

function logIn(password: string): Promise<LightMyRequestResponse> {
  const payload = { username: user.username, password };
  return replica.app.inject({ method: 'POST', url: '/login', payload });
}

async function isOpen(token: string): Promise<boolean> {
  const { statusCode } = await replica.app.inject({ url: '/session', headers: bearer(token) });
  return statusCode === 200;
}

describe('success', () => {
  it('sets the new password, ends every session, the one that asks included, and opens another', async () => {
    const other = await login(replica, user);
    const stranger = await login(replica, await house.user());
    const response = await change(user.password, NEW);
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({ 'cache-control': 'no-store', vary: 'Authorization' });
    expect(response.headers).not.toHaveProperty('set-cookie');
    const opened = response.json<TokenPair>();
    expect(Object.keys(opened)).toEqual(Object.keys(pair));
    expect([pair.session_id, other.session_id]).not.toContain(opened.session_id);
    expect((await logIn(user.password)).statusCode).toBe(401);
    expect((await logIn(NEW)).statusCode).toBe(200);
    expect(await isOpen(other.access_token)).toBe(false);
    expect((await refresh(replica, other.refresh_token)).statusCode).toBe(401);
    expect(await isOpen(stranger.access_token)).toBe(true);
    expect(await isOpen(pair.access_token)).toBe(false);
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
    expect(await isOpen(opened.access_token)).toBe(true);
    const next = (await refresh(replica, opened.refresh_token)).json<TokenPair>();
    expect(await isOpen(next.access_token)).toBe(true);
  });

  it('hands on when the session ends for good, and says anew when the user was authenticated and where', async () => {
    await house.database.clock.freeze(START);
    const old = claimsOf((await login(replica, user)).access_token);
    pair = await login(replica, user);
    await house.database.clock.advance(300.6);
    const headers = { ...bearer(pair.access_token), 'user-agent': 'another browser' };
    const opened = (await change(user.password, NEW, headers)).json<TokenPair>();
    const [access, refreshing] = [claimsOf(opened.access_token), claimsOf(opened.refresh_token)];
    const fresh = { session_exp: old.session_exp, auth_time: old.auth_time + 300, iat: old.iat + 300 };
    expect(access).toMatchObject({ ...fresh, sub: user.id, sid: opened.session_id, exp: fresh.iat + 600 });
    expect(refreshing).toMatchObject({
      ...fresh,
      jti: `${opened.session_id}.0`,
      exp: fresh.iat + 14 * 86_400,
    });
    const { sessions } = (
      await replica.app.inject({ url: '/sessions', headers: bearer(opened.access_token) })
    ).json<{ sessions: object[] }>();
    expect(sessions).toMatchObject([{ id: opened.session_id, current: true, user_agent: 'another browser' }]);
  });

  it('outlives the session that asked by no second', async () => {
    await house.database.clock.freeze(START);
    const brief = await house.replica({ config: { sessionTtlSeconds: 400 } });
    pair = await login(brief, user);
    const { session_exp } = claimsOf(pair.access_token);
    await house.database.clock.advance(390);
    const opened = (await change(user.password, NEW)).json<TokenPair>();
    expect([opened.expires_in, opened.refresh_expires_in]).toEqual([10, 10]);
    for (const token of [opened.access_token, opened.refresh_token])
      expect(claimsOf(token)).toMatchObject({ exp: session_exp, session_exp });
  });

  it('leaves rows on what was ended by whom, kept as long as that could matter', async () => {
    await change(user.password, NEW);
    const { rows } = await house.database.admin.query(
      `SELECT kind, coalesce(epoch::text, id::text) AS what, reason, actor,
              kept_until >= (SELECT max(expires_at) FROM sessions WHERE user_id = $1) + interval '6 minutes' AS "isKept"
       FROM revocations WHERE user_id = $1 ORDER BY kind`,
      [user.id],
    );
    const common = { reason: 'password_changed', actor: `user:${user.id}`, isKept: true };
    const [lineage] = claimsOf(pair.access_token).jti.split('.');
    expect(rows).toEqual([
      { kind: 'token', what: lineage, ...common },
      { kind: 'user', what: '0', ...common },
    ]);
  });

  it('can be done again with what was set, more often than a password may be guessed at', async () => {
    for (let time = 0, current = user.password; time < 7; time += 1) {
      const next = `${NEW} ${time}`;
      pair = (await change(current, next)).json<TokenPair>();
      current = next;
    }
    expect(await isOpen(pair.access_token)).toBe(true);
  });

  it('is to be had with the access cookie, and comes in new cookies', async () => {
    const browser = openBrowser(replica);
    await browser.login(user);
    const before = new Map(browser.jar);
    const payload = { current_password: user.password, new_password: NEW };
    const changed = await retryOn503(() => browser.send('POST', '/password', { payload }));
    expect(changed.statusCode).toBe(200);
    expect(Object.keys(changed.json())).toEqual(['expires_in', 'session_id']);
    expect((await browser.send('GET', '/session')).json()).toMatchObject({
      sid: changed.json<{ session_id: string }>().session_id,
    });
    expect((await browser.send('POST', '/refresh')).statusCode).toBe(200);
    expect([...browser.jar.keys()]).toEqual([ACCESS, REFRESH]);
    for (const name of [ACCESS, REFRESH]) expect(browser.jar.get(name)).not.toBe(before.get(name));
    expect(await isOpen(pair.access_token)).toBe(false);
    expect(await isOpen(before.get(ACCESS) ?? '')).toBe(false);
  });
});

describe('a repetition', () => {
  const WINDOW = DEFAULTS.replayWindowSeconds;
  const DEAD = {
    status: 401,
    error: 'invalid_token',
    challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
  };
  let opened: TokenPair;

  beforeEach(async () => {
    await house.database.clock.freeze(START);
    pair = await login(replica, user);
    opened = (await change(user.password, NEW)).json<TokenPair>();
  });

  it.each([
    ['at once', 0],
    ['at the end of the window', WINDOW],
  ])('%s gets a pair of the same new session', async (_when, seconds) => {
    await house.database.clock.advance(seconds);
    const again = (await change(user.password, NEW)).json<TokenPair>();
    expect(again.session_id).toBe(opened.session_id);
    expect(again.refresh_token).toBe(opened.refresh_token);
    expect([await isOpen(again.access_token), await isOpen(opened.access_token)]).toEqual([true, true]);
    expect((await refresh(replica, again.refresh_token)).statusCode).toBe(200);
    expect(await isOpen(pair.access_token)).toBe(false);
  });

  it('after a refresh of the new session gets the tokens of now', async () => {
    const renewed = (await refresh(replica, opened.refresh_token)).json<TokenPair>();
    const again = (await change(user.password, NEW)).json<TokenPair>();
    expect(again.refresh_token).toBe(renewed.refresh_token);
    expect(await isOpen(again.access_token)).toBe(true);
  });

  it('is taken from another access token of the ended session as well', async () => {
    const second = await login(replica, { ...user, password: NEW });
    const refreshed = (await refresh(replica, second.refresh_token)).json<TokenPair>();
    const next = `${NEW} 2`;
    const { session_id } = (await change(NEW, next, bearer(second.access_token))).json<TokenPair>();
    const again = (await change(NEW, next, bearer(refreshed.access_token))).json<TokenPair>();
    expect(again.session_id).toBe(session_id);
  });

  it('adds no row', async () => {
    const count = async () =>
      (
        await house.database.admin.query<{ rows: string }>(
          `SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM revocations) AS rows`,
        )
      ).rows[0]?.rows;
    const before = await count();
    expect((await change(user.password, NEW)).statusCode).toBe(200);
    expect(await count()).toEqual(before);
  });

  it('comes in cookies where the old token came in one', async () => {
    const browser = openBrowser(replica);
    browser.jar.set(ACCESS, pair.access_token);
    const payload = { current_password: user.password, new_password: NEW };
    const again = await retryOn503(() => browser.send('POST', '/password', { payload }));
    expect(again.json()).toEqual({ expires_in: 600, session_id: opened.session_id });
    expect(claimsOf(browser.jar.get(REFRESH) ?? '')).toMatchObject({ sid: opened.session_id });
  });

  it('after the window is refused like any ended token, and costs nobody an attempt', async () => {
    await house.database.clock.advance(WINDOW + 0.001);
    for (let time = 0; time < 7; time += 1) expect(problemOf(await change(user.password, NEW))).toEqual(DEAD);
    expect((await logIn(NEW)).statusCode).toBe(200);
  });

  it('is switched off with the window', async () => {
    const strict = await house.replica({ config: { replayWindowSeconds: 0 } });
    const payload = { current_password: user.password, new_password: NEW };
    const again = await strict.app.inject({
      method: 'POST',
      url: '/password',
      headers: bearer(pair.access_token),
      payload,
    });
    expect(problemOf(again)).toEqual(DEAD);
    expect((await refresh(strict, pair.refresh_token)).json()).toMatchObject({ error: 'invalid_token' });
    expect(await isOpen(opened.access_token)).toBe(true);
  });

  it('with another new password is a wrong guess, and counted like one, with those at login', async () => {
    await logIn(MARKER);
    for (let guess = 0; guess < 4; guess += 1)
      expect(problemOf(await change(NEW, `${NEW} ${guess}`))).toEqual(WRONG);
    const refusal = { status: 429, error: 'too_many_requests' };
    expect(problemOf(await change(user.password, NEW))).toEqual(refusal);
    expect(problemOf(await logIn(NEW))).toEqual(refusal);
    expect(await isOpen(opened.access_token)).toBe(true);
  });

  it('that succeeds spends no attempt', async () => {
    for (let time = 0; time < 7; time += 1) expect((await change(user.password, NEW)).statusCode).toBe(200);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['the old session was logged out', () => end('/logout', { refresh_token: pair.refresh_token })],
    ['the old access token was logged out', () => send('POST', '/logout', bearer(pair.access_token))],
    ['a client revoked the old access token', () => revoke(pair.access_token)],
    ['a client revoked the old refresh token', () => revoke(pair.refresh_token)],
    ['the new session was logged out', () => end('/logout', { refresh_token: opened.refresh_token })],
    ['a client revoked the new refresh token', () => revoke(opened.refresh_token)],
    ['everything was logged out', () => send('POST', '/logout-all', bearer(opened.access_token))],
    [
      'everything else was logged out',
      () => send('POST', '/logout-all', bearer(opened.access_token), { except_current: true }),
    ],
    ['the user was disabled', () => disableUser(replica.database, user.username)],
    [
      'the user was disabled and enabled',
      async () => {
        await disableUser(replica.database, user.username);
        await enableUser(replica.database, user.username);
      },
    ],
    [
      'the claims of the user were changed',
      () => house.database.admin.query('UPDATE users SET ver = ver + 1 WHERE id = $1', [user.id]),
    ],
    [
      'an operator set the same password once more',
      async () => changePassword(replica.database, user.username, await house.hasher.hash(NEW)),
    ],
    [
      'the new session was replaced, by the same password',
      () => change(NEW, NEW, bearer(opened.access_token)),
    ],
  ])('is refused when %s', async (_what, happen) => {
    await happen();
    expect(problemOf(await change(user.password, NEW))).toEqual(DEAD);
  });

  it('is refused when the token has expired, though the window is open', async () => {
    const last = await login(replica, { ...user, password: NEW });
    await house.database.clock.advance(599);
    const again = () => change(NEW, `${NEW} 2`, bearer(last.access_token));
    expect([(await again()).statusCode, (await again()).statusCode]).toEqual([200, 200]);
    await house.database.clock.advance(1);
    expect(problemOf(await again())).toEqual(DEAD);
  });

  it.each(['current', 'older'])(
    'leaves the %s refresh token of the ended session superseded',
    async (which) => {
      const second = await login(replica, { ...user, password: NEW });
      const renewed = (await refresh(replica, second.refresh_token)).json<TokenPair>();
      const { refresh_token } = which === 'current' ? renewed : second;
      // Later than the window of the last rotation: without the change, the older one would be theft.
      await house.database.clock.advance(WINDOW + 1);
      const last = (await change(NEW, `${NEW} 2`, bearer(renewed.access_token))).json<TokenPair>();
      const browser = openBrowser(replica);
      browser.jar.set(REFRESH, refresh_token);
      for (const seconds of [0, WINDOW]) {
        await house.database.clock.advance(seconds);
        const superseded = { status: 401, error: 'refresh_superseded' };
        expect(problemOf(await refresh(replica, refresh_token))).toMatchObject(superseded);
        const byCookie = await browser.send('POST', '/refresh');
        expect(problemOf(byCookie)).toMatchObject(superseded);
        expect(byCookie.headers).not.toHaveProperty('set-cookie');
      }
      await house.database.clock.advance(0.001);
      expect(problemOf(await refresh(replica, refresh_token))).toMatchObject(DEAD);
      expect(problemOf(await browser.send('POST', '/refresh'))).toMatchObject(DEAD);
      expect(browser.jar.has(REFRESH)).toBe(false);
      expect(await isOpen(last.access_token)).toBe(true);
      expect((await refresh(replica, last.refresh_token)).statusCode).toBe(200);
    },
  );

  function end(url: string, payload: object): Promise<LightMyRequestResponse> {
    return replica.app.inject({ method: 'POST', url, payload });
  }

  function send(method: 'POST', url: string, headers: Record<string, string>, payload?: object) {
    return replica.app.inject({ method, url, headers, ...(payload && { payload }) });
  }

  async function revoke(token: string): Promise<LightMyRequestResponse> {
    return await postForm(replica, '/revoke', await house.client(), { token });
  }
});

describe('refusal', () => {
  it.each([
    ['already', 0],
    ['while it was hashed', 1],
  ])('of who has been answered %s changes nothing', async (_when, times) => {
    const passwords = { current: user.password, next: NEW };
    const judgement = await replica.gatehouse.judge(pair.access_token);
    for (let why: unknown; why !== 'a password took too long';) {
      // Awaited so many times that somebody looks, and by nobody from then on.
      let looks = 0;
      const isAwaited = () => (looks += 1) <= times;
      const changing = replica.gatehouse.changePassword(judgement, passwords, DEVICE, isAwaited);
      const error: unknown = await changing.then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code: 'temporarily_unavailable' });
      why = ((error as Error).cause as Error).message;
      // Judging a password may take too long on a busy machine: then it is asked again.
      expect(['a password took too long', 'a password could not be estimated']).toContain(why);
    }
    expect((await logIn(user.password)).statusCode).toBe(200);
    expect(await isOpen(pair.access_token)).toBe(true);
  });

  it('of a wrong password says so, and changes nothing', async () => {
    const response = await change(MARKER, NEW);
    expect(problemOf(response)).toEqual(WRONG);
    expect(response.json()).toMatchObject({ detail: 'The current password is wrong.' });
    expect((await logIn(user.password)).statusCode).toBe(200);
    expect(await isOpen(pair.access_token)).toBe(true);
  });

  it('comes after as many wrong guesses as at login, with which they are counted together', async () => {
    await logIn(MARKER);
    for (let guess = 0; guess < 4; guess += 1) expect(problemOf(await change(MARKER, NEW))).toEqual(WRONG);
    const refusal = { status: 429, error: 'too_many_requests' };
    expect(problemOf(await change(user.password, NEW))).toEqual(refusal);
    expect(problemOf(await logIn(user.password))).toEqual(refusal);
    expect(await isOpen(pair.access_token)).toBe(true);
  });

  it.each([
    ['is too short', 'short', 'is shorter than 15 characters'],
    ['is too long', 'x'.repeat(257), 'is longer than 256 characters'],
    ['is easy to guess', 'passwordpassword', 'repeats itself'],
    [
      'nobody can see',
      `${NEW}\u200b`,
      'contains a control character, or one that is invisible or unassigned',
    ],
  ])('of a new password that %s says why, and spends no guess', async (_what, next, message) => {
    for (let time = 0; time < 6; time += 1) {
      const response = await change(user.password, next);
      const errors = [{ path: 'body/new_password', message }];
      expect(problemOf(response)).toEqual({ status: 400, error: 'invalid_request', errors });
    }
    expect((await logIn(user.password)).statusCode).toBe(200);
  });

  it('takes as short a one as PASSWORD_MIN_LENGTH says, and no shorter', async () => {
    const lax = await house.replica({ config: { passwordMinLength: 8 } });
    const to = (next: string) =>
      retryOn503(() =>
        lax.app.inject({
          method: 'POST',
          url: '/password',
          headers: bearer(pair.access_token),
          payload: { current_password: user.password, new_password: next },
        }),
      );
    const errors = [{ path: 'body/new_password', message: 'is shorter than 8 characters' }];
    expect(problemOf(await to('kP9wq7R'))).toMatchObject({ status: 400, errors });
    expect((await to('kP9wq7Rt')).statusCode).toBe(200);
    // What is set stays, also where another replica asks for more.
    expect((await logIn('kP9wq7Rt')).statusCode).toBe(200);
  });

  it('of the user name as a password says why', async () => {
    const response = await change(user.password, user.username);
    expect(problemOf(response).errors).toEqual([
      { path: 'body/new_password', message: 'contains the user name' },
    ]);
  });

  it('judges the current password first: whoever does not know it learns nothing about the new one', async () => {
    expect(problemOf(await change(MARKER, 'short'))).toEqual(WRONG);
  });

  it.each([
    ['no body', undefined],
    ['no new password', { current_password: MARKER }],
    ['no current password', { new_password: MARKER }],
    ['a password that is no text', { current_password: [MARKER], new_password: NEW }],
    ['a lone surrogate', { current_password: 'x', new_password: '\ud800' }],
    ['an unknown member', { current_password: 'x', new_password: NEW, username: MARKER }],
  ])('says what is wrong with %s', async (_what, payload) => {
    const headers = bearer(pair.access_token);
    const response = await replica.app.inject({
      method: 'POST',
      url: '/password',
      headers,
      ...(payload && { payload }),
    });
    expect(problemOf(response)).toMatchObject({ status: 400, error: 'invalid_request' });
  });

  it('takes no refresh token, no ended session and no token of a disabled user', async () => {
    const dead = {
      status: 401,
      error: 'invalid_token',
      challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
    };
    expect(problemOf(await change(user.password, NEW, bearer(pair.refresh_token)))).toEqual(dead);
    const other = await login(replica, user);
    await replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(other.access_token) });
    expect(problemOf(await change(user.password, NEW, bearer(other.access_token)))).toEqual(dead);
    await disableUser(replica.database, user.username);
    expect(problemOf(await change(user.password, NEW))).toEqual(dead);
  });

  it('of an expired token, in its grace or later, comes before anything, though its session stands', async () => {
    await house.database.clock.freeze(START);
    pair = await login(replica, user);
    for (const seconds of [600, 70]) {
      await house.database.clock.advance(seconds);
      expect(problemOf(await change(user.password, NEW))).toMatchObject({
        status: 401,
        error: 'invalid_token',
      });
    }
    expect((await logIn(user.password)).statusCode).toBe(200);
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(200);
  });

  it('of a cookie that another site sent along leaves the password as it is', async () => {
    const cookie = `${ACCESS}=${pair.access_token}`;
    for (const headers of [{ cookie }, { cookie, 'sec-fetch-site': 'cross-site' }]) {
      expect(problemOf(await change(user.password, NEW, headers))).toEqual({
        status: 403,
        error: 'csrf_rejected',
      });
    }
    expect((await change(user.password, NEW, { cookie, ...SAME_ORIGIN })).statusCode).toBe(200);
  });
});
