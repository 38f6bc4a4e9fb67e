// POST /password: the current password proves it, the new one ends every other session, and guessing is no faster than at login.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { disableUser } from '../../src/domain/users/users.js';
import { ask, MARKER, PLAIN_CHALLENGE, problemOf, TOKEN_CHALLENGE } from '../support/answers.js';
import { ACCESS, openBrowser, REFRESH, SAME_ORIGIN } from '../support/browser.js';
import {
  bearer,
  claimsOf,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';

const NEW = 'correct horse battery staple';
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
  return retryOn503(() => ask(replica, { method: 'POST', url: '/password', headers, payload }));
}

function logIn(password: string): Promise<LightMyRequestResponse> {
  const payload = { username: user.username, password };
  return ask(replica, { method: 'POST', url: '/login', payload });
}

async function isOpen(token: string): Promise<boolean> {
  const { statusCode } = await ask(replica, { url: '/session', headers: bearer(token) });
  return statusCode === 200;
}

describe('success', () => {
  it('sets the new password, ends every other session and keeps the one that asks', async () => {
    const other = await login(replica, user);
    const stranger = await login(replica, await house.user());
    const response = await change(user.password, NEW);
    expect([response.statusCode, response.body]).toEqual([204, '']);
    expect(response.headers).not.toHaveProperty('set-cookie');
    expect((await logIn(user.password)).statusCode).toBe(401);
    expect((await logIn(NEW)).statusCode).toBe(200);
    expect(await isOpen(other.access_token)).toBe(false);
    expect((await refresh(replica, other.refresh_token)).statusCode).toBe(401);
    expect(await isOpen(stranger.access_token)).toBe(true);
    expect(await isOpen(pair.access_token)).toBe(true);
    const next = (await refresh(replica, pair.refresh_token)).json<TokenPair>();
    expect(await isOpen(next.access_token)).toBe(true);
  });

  it('leaves one row on who ended what, kept as long as what it ended', async () => {
    await change(user.password, NEW);
    const { rows } = await house.database.admin.query(
      `SELECT kind, epoch, reason, actor,
              kept_until = (SELECT max(expires_at) FROM sessions WHERE user_id = $1) + interval '6 minutes' AS "isKept"
       FROM revocations WHERE user_id = $1`,
      [user.id],
    );
    expect(rows).toEqual([
      { kind: 'user', epoch: '0', reason: 'password_changed', actor: 'user', isKept: true },
    ]);
  });

  it('can be done again with what was set, more often than a password may be guessed at', async () => {
    for (let time = 0, current = user.password; time < 7; time += 1) {
      const next = `${NEW} ${time}`;
      expect((await change(current, next)).statusCode).toBe(204);
      current = next;
    }
    expect(await isOpen(pair.access_token)).toBe(true);
  });

  it('is to be had with the access cookie, which stays', async () => {
    const browser = openBrowser(replica);
    await browser.login(user);
    const payload = { current_password: user.password, new_password: NEW };
    const changed = await retryOn503(() => browser.send('POST', '/password', { payload }));
    expect(changed.statusCode).toBe(204);
    expect((await browser.send('GET', '/session')).statusCode).toBe(200);
    expect([...browser.jar.keys()]).toEqual([ACCESS, REFRESH]);
    expect(await isOpen(pair.access_token)).toBe(false);
  });
});

describe('refusal', () => {
  it.each([
    ['already', 0],
    ['while it was hashed', 1],
  ])('of who has been answered %s changes nothing', async (_when, times) => {
    const passwords = { current: user.password, next: NEW };
    const claims = claimsOf(pair.access_token);
    for (let why: unknown; why !== 'a password took too long';) {
      // Awaited so many times that somebody looks, and by nobody from then on.
      let looks = 0;
      const isAwaited = () => (looks += 1) <= times;
      const changing = replica.gatehouse.changePassword(claims, passwords, '192.0.2.1', isAwaited);
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
    const response = await ask(replica, {
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
    await ask(replica, { method: 'POST', url: '/logout', headers: bearer(other.access_token) });
    expect(problemOf(await change(user.password, NEW, bearer(other.access_token)))).toEqual(dead);
    await disableUser(replica.database, user.username);
    expect(problemOf(await change(user.password, NEW))).toEqual(dead);
  });

  it('of a cookie that another site sent along leaves the password as it is', async () => {
    const cookie = `${ACCESS}=${pair.access_token}`;
    for (const headers of [{ cookie }, { cookie, 'sec-fetch-site': 'cross-site' }]) {
      expect(problemOf(await change(user.password, NEW, headers))).toEqual({
        status: 403,
        error: 'csrf_rejected',
      });
    }
    expect((await change(user.password, NEW, { cookie, ...SAME_ORIGIN })).statusCode).toBe(204);
  });
});
