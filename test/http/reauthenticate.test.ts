// POST /reauthenticate and max_age: the password once more, a token that says when, and what asks for it.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { createPasswordHasher, type PasswordHasher } from '../../src/domain/passwords/hasher.js';
import { changePassword, disableUser } from '../../src/domain/users/users.js';
import { PLAIN_CHALLENGE, problemOf, TOKEN_CHALLENGE } from '../support/answers.js';
import { ACCESS, openBrowser, REFRESH, setCookiesOf } from '../support/browser.js';
import {
  bearer,
  claimsOf,
  introspect,
  login,
  openHouse,
  postForm,
  refresh,
  type House,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { logOut, START } from '../support/twins.js';

const WRONG = { status: 401, error: 'invalid_credentials', challenge: PLAIN_CHALLENGE };
const DEAD = {
  status: 401,
  error: 'invalid_token',
  challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
};

let house: House;
let replica: Replica;
let user: TestUser;
let pair: TokenPair;
/** Happens once, when a password has just been compared and its verdict is on the way. */
let meanwhile: (() => Promise<unknown>) | undefined;

beforeAll(async () => {
  const real = createPasswordHasher({ parameters: { memoryKib: 8, passes: 1, lanes: 1 }, maxWaitMs: 30_000 });
  const hasher: PasswordHasher = {
    ...real,
    verify: async (...given) => {
      const verdict = await real.verify(...given);
      const work = meanwhile;
      meanwhile = undefined;
      await work?.();
      return verdict;
    },
  };
  house = await openHouse({ hasher });
  replica = await house.replica();
});
beforeEach(async () => {
  await house.database.clock.freeze(START);
  user = await house.user({ scope: 'orders:read' });
  pair = await login(replica, user);
  await house.database.clock.advance(1000);
  pair = (await refresh(replica, pair.refresh_token)).json<TokenPair>();
});
afterAll(() => house.close());

function reauthenticate(
  password: unknown = user.password,
  headers: Record<string, string> = bearer(pair.access_token),
): Promise<LightMyRequestResponse> {
  return replica.app.inject({ method: 'POST', url: '/reauthenticate', headers, payload: { password } });
}

const asks = (token: string, query = '', path = '/session') =>
  replica.app.inject({ url: `${path}${query}`, headers: bearer(token) });

describe('success', () => {
  it('is a new access token of the same session, whose auth_time is now', async () => {
    const response = await reauthenticate();
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({ 'cache-control': 'no-store', vary: 'Authorization' });
    const { access_token: fresh, ...rest } = response.json<TokenPair>();
    expect(rest).toEqual({ token_type: 'Bearer', expires_in: 600 });
    const [old, now] = [claimsOf(pair.access_token), claimsOf(fresh)];
    expect([old.auth_time, now.auth_time]).toEqual([START, START + 1000]);
    expect(now).toEqual({
      ...old,
      jti: now.jti,
      auth_time: START + 1000,
      iat: START + 1000,
      exp: START + 1600,
    });
    expect(now.jti.split('.')[0]).not.toBe(old.jti.split('.')[0]);
    expect((await asks(fresh)).json()).toMatchObject({ auth_time: START + 1000 });
    const client = await house.client();
    expect((await introspect(replica, client, fresh)).json()).toMatchObject({
      active: true,
      auth_time: START + 1000,
    });
  });

  it('goes on with its successors, and not with those of /refresh', async () => {
    const fresh = (await reauthenticate()).json<TokenPair>().access_token;
    await house.database.clock.advance(590);
    const successor = String((await asks(fresh)).headers['refreshed-api-token']);
    expect(claimsOf(successor).auth_time).toBe(START + 1000);
    const next = (await refresh(replica, pair.refresh_token)).json<TokenPair>();
    expect(claimsOf(next.access_token).auth_time).toBe(START);
    expect(claimsOf(next.refresh_token).auth_time).toBe(START);
  });

  it('leaves the token that asked, and its session, as they are', async () => {
    await reauthenticate();
    expect((await asks(pair.access_token)).json()).toMatchObject({ auth_time: START });
    const { sessions } = (await asks(pair.access_token, '', '/sessions')).json<{ sessions: object[] }>();
    expect(sessions).toHaveLength(1);
  });

  it('dies with its session, and by itself', async () => {
    const [one, two] = [await reauthenticate(), await reauthenticate()].map(
      (r) => r.json<TokenPair>().access_token,
    );
    await postForm(replica, '/revoke', await house.client(['revoke']), { token: one ?? '' });
    expect((await asks(one ?? '')).statusCode).toBe(401);
    expect((await asks(two ?? '')).statusCode).toBe(200);
    await logOut(replica, pair.access_token);
    expect((await asks(two ?? '')).statusCode).toBe(401);
  });

  it('outlives the session by no second', async () => {
    const brief = await house.replica({ config: { sessionTtlSeconds: 400 } });
    const { access_token: token } = await login(brief, user);
    await house.database.clock.advance(390);
    const { access_token: fresh, expires_in } = (
      await reauthenticate(user.password, bearer(token))
    ).json<TokenPair>();
    expect([expires_in, claimsOf(fresh).exp]).toEqual([10, claimsOf(token).session_exp]);
  });

  it('comes in the access cookie where the token came in one; the refresh cookie stays', async () => {
    const browser = openBrowser(replica);
    await browser.login(user);
    const before = new Map(browser.jar);
    await house.database.clock.advance(100);
    const answer = await browser.send('POST', '/reauthenticate', { payload: { password: user.password } });
    expect([answer.statusCode, Object.keys(answer.json())]).toEqual([200, ['expires_in', 'session_id']]);
    expect(setCookiesOf(answer).map(({ name }) => name)).toEqual([ACCESS]);
    expect(claimsOf(browser.jar.get(ACCESS) ?? '').auth_time).toBe(START + 1100);
    expect(browser.jar.get(REFRESH)).toBe(before.get(REFRESH));
    const cookie = `${ACCESS}=${browser.jar.get(ACCESS)}`;
    const elsewhere = await reauthenticate(user.password, { cookie, 'sec-fetch-site': 'cross-site' });
    expect(problemOf(elsewhere)).toMatchObject({ status: 403, error: 'csrf_rejected' });
  });
});

describe('a refusal', () => {
  it('of a wrong password is one of the login’s kind, and is counted like one', async () => {
    for (let attempt = 1; attempt <= 5; attempt += 1)
      expect(problemOf(await reauthenticate('wrong'))).toEqual(WRONG);
    const right = await reauthenticate();
    expect([right.statusCode, right.headers['retry-after']]).toEqual([429, expect.any(String)]);
    const { username, password } = user;
    const payload = { username, password };
    expect((await replica.app.inject({ method: 'POST', url: '/login', payload })).statusCode).toBe(429);
  });

  it('is no attempt where the password is right', async () => {
    for (let time = 0; time < 12; time += 1) expect((await reauthenticate()).statusCode).toBe(200);
  });

  it('meets every token that is not live, and costs nobody an attempt', async () => {
    const ended = await login(replica, user);
    await logOut(replica, ended.access_token);
    for (const token of [ended.access_token, pair.refresh_token, 'a.b.c'])
      for (let time = 0; time < 6; time += 1)
        expect(problemOf(await reauthenticate(user.password, bearer(token)))).toMatchObject(DEAD);
    expect(problemOf(await reauthenticate(user.password, {}))).toMatchObject({
      status: 401,
      challenge: PLAIN_CHALLENGE,
    });
    expect((await reauthenticate()).statusCode).toBe(200);
    await house.database.clock.advance(600);
    expect(problemOf(await reauthenticate())).toMatchObject(DEAD);
  });

  it.each([{}, { password: 1 }, { password: null }, { password: 'a', username: 'b' }, { password: ['a'] }])(
    'meets the body %o',
    async (payload) => {
      const headers = bearer(pair.access_token);
      const answer = await replica.app.inject({ method: 'POST', url: '/reauthenticate', headers, payload });
      expect(problemOf(answer)).toMatchObject({ status: 400, error: 'invalid_request' });
    },
  );

  it.each<[string, () => Promise<unknown>]>([
    ['logged out', () => logOut(replica, pair.access_token)],
    ['disabled', () => disableUser(replica.database, user.username)],
    [
      'given another password',
      async () => changePassword(replica.database, user.username, await house.hasher.hash('another one')),
    ],
    [
      'given the same password anew',
      async () => changePassword(replica.database, user.username, await house.hasher.hash(user.password)),
    ],
  ])('meets who is %s while the password is compared', async (_how, work) => {
    meanwhile = work;
    expect(problemOf(await reauthenticate())).toMatchObject(DEAD);
  });

  it('does not meet whose password a login hashes anew in that moment', async () => {
    const hash = await house.hasher.hash(user.password);
    meanwhile = () =>
      house.database.admin.query('UPDATE users SET password_hash = $1 WHERE id = $2', [hash, user.id]);
    expect((await reauthenticate()).statusCode).toBe(200);
    meanwhile = async () => {
      const other = await house.hasher.hash('another one');
      await house.database.admin.query('UPDATE users SET password_hash = $1 WHERE id = $2', [other, user.id]);
    };
    expect(problemOf(await reauthenticate())).toMatchObject(WRONG);
  });
});

describe('max_age', () => {
  const TOO_OLD = (seconds: number) => ({
    status: 401,
    error: 'insufficient_user_authentication',
    challenge: `Bearer realm="gatehouse", error="insufficient_user_authentication", error_description="The user gave the password too long ago for this.", max_age="${seconds}"`,
  });

  it('lets in whose password was given so many seconds ago at most', async () => {
    for (const [age, status] of [
      ['1000', 200],
      ['1001', 200],
      ['999', 401],
      ['0', 401],
      ['999999999', 200],
    ] as const)
      expect([age, (await asks(pair.access_token, `?max_age=${age}`)).statusCode]).toEqual([age, status]);
    expect(problemOf(await asks(pair.access_token, '?max_age=900'))).toEqual(TOO_OLD(900));
    const fresh = (await reauthenticate()).json<TokenPair>().access_token;
    expect((await asks(fresh, '?max_age=0')).statusCode).toBe(200);
    await house.database.clock.advance(1);
    expect((await asks(fresh, '?max_age=0')).statusCode).toBe(401);
    expect((await asks(fresh, '?max_age=1')).statusCode).toBe(200);
  });

  it('is asked of a cookie, and of every method that a gateway passes on', async () => {
    const cookie = `${ACCESS}=${pair.access_token}`;
    const headers = { cookie, 'sec-fetch-site': 'same-origin' };
    const byCookie = await replica.app.inject({ url: '/session?max_age=900', headers });
    expect(problemOf(byCookie)).toEqual(TOO_OLD(900));
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'] as const) {
      const request = { method, headers: bearer(pair.access_token) };
      expect((await replica.app.inject({ ...request, url: '/session?max_age=900' })).statusCode).toBe(401);
      expect((await replica.app.inject({ ...request, url: '/session?max_age=1000' })).statusCode).toBe(200);
    }
    const head = { method: 'HEAD', url: '/session?max_age=900', headers: bearer(pair.access_token) } as const;
    expect((await replica.app.inject(head)).statusCode).toBe(401);
  });

  it('says nothing to who has no live token but that', async () => {
    await logOut(replica, pair.access_token);
    expect(problemOf(await asks(pair.access_token, '?max_age=900'))).toMatchObject(DEAD);
  });

  it('keeps the successor of a token near its end', async () => {
    await house.database.clock.advance(590);
    const answer = await asks(pair.access_token, '?max_age=900');
    expect([answer.statusCode, 'refreshed-api-token' in answer.headers]).toEqual([401, true]);
  });

  it.each(['', '-1', '1.5', '01', '1e3', 'abc', '10000000000', '900&max_age=900', '%20900', '900%00'])(
    'is refused as %j: it could be meant as a guard',
    async (text) => {
      const answer = await asks(pair.access_token, `?max_age=${text}`);
      expect(problemOf(answer)).toMatchObject({ status: 400, error: 'invalid_request' });
    },
  );

  it('below /session/ is part of somebody else’s request, and other parameters are at /session, too', async () => {
    expect((await asks(pair.access_token, '?max_age=0', '/session/orders')).statusCode).toBe(200);
    expect((await asks(pair.access_token, '?a=1&a=2&max_age=2000&__proto__=x')).statusCode).toBe(200);
  });
});
