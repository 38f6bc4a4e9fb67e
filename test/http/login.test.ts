// POST /login: a password becomes a session, and every kind of wrong gets one answer.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { disableUser } from '../../src/domain/users/users.js';
import { MARKER, PLAIN_CHALLENGE, problemOf } from '../support/answers.js';
import { setCookiesOf } from '../support/browser.js';
import {
  AMPLE_MS,
  bearer,
  claimsOf,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TokenPair,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';

let house: House;
let replica: Replica;
let database: Database;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  database = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
});
afterAll(async () => {
  await database.close();
  await house.close();
});

function post(payload: unknown, headers: Record<string, string> = {}) {
  return replica.app.inject({
    method: 'POST',
    url: '/login',
    headers: { 'content-type': 'application/json', ...headers },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
}

describe('success', () => {
  it('answers exactly a token pair that no cache keeps', async () => {
    const { username, password } = await house.user();
    const response = await post({ username, password });
    expect(response.statusCode).toBe(200);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.headers.vary).toMatch(/\bAuthorization\b/);
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    const pair = response.json<TokenPair>();
    expect(pair).toEqual({
      access_token: expect.any(String) as string,
      token_type: 'Bearer',
      expires_in: 600,
      refresh_token: expect.any(String) as string,
      refresh_expires_in: 14 * 86_400,
      session_id: claimsOf(pair.access_token).sid,
    });
  });

  it('mints an access token of exactly the promised claims', async () => {
    const user = await house.user({ scope: 'read write' });
    const { access_token: token, session_id: sid } = await login(replica, user);
    const claims = claimsOf(token);
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'EdDSA',
      typ: 'at+jwt',
      kid: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    });
    expect(claims).toEqual({
      iss: 'http://gatehouse.test',
      sub: user.id,
      aud: 'gatehouse',
      client_id: 'gatehouse',
      username: user.username,
      scope: 'read write',
      sid,
      jti: expect.stringMatching(/^[0-9a-f-]{36}\.0$/) as string,
      iat: claims.auth_time,
      exp: claims.iat + 600,
      auth_time: expect.any(Number) as number,
      session_exp: claims.auth_time + 90 * 86_400,
    });
    expect(claims.jti).not.toContain(sid);
  });

  it('mints a refresh token of exactly the promised claims', async () => {
    const user = await house.user({ scope: 'read' });
    const { refresh_token: token, session_id: sid } = await login(replica, user);
    const claims = claimsOf(token);
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toMatchObject({
      typ: 'rt+jwt',
    });
    expect(claims).toEqual({
      iss: 'http://gatehouse.test',
      sub: user.id,
      aud: 'http://gatehouse.test',
      sid,
      jti: `${sid}.0`,
      iat: claims.auth_time,
      exp: claims.iat + 14 * 86_400,
      auth_time: expect.any(Number) as number,
      session_exp: claims.auth_time + 90 * 86_400,
    });
  });

  it('leaves scope out when it is empty', async () => {
    const { access_token: token } = await login(replica, await house.user());
    expect(claimsOf(token)).not.toHaveProperty('scope');
  });

  it('takes a name in another case and width, and answers with its canonical form', async () => {
    const { password } = await house.user({ username: 'straße' });
    const response = await post({ username: 'ＳＴＲＡßＥ', password });
    expect(response.statusCode).toBe(200);
    expect(claimsOf(response.json<TokenPair>().access_token).username).toBe('straße');
  });

  it('remembers where the session was opened, with a long user agent cut', async () => {
    const user = await house.user();
    const payload = { username: user.username, password: user.password };
    const response = await post(payload, { 'user-agent': 'x'.repeat(2000) });
    const { access_token: token } = response.json<TokenPair>();
    const list = await replica.app.inject({ url: '/sessions', headers: bearer(token) });
    expect(list.json()).toMatchObject({ sessions: [{ ip: '127.0.0.1', user_agent: 'x'.repeat(512) }] });
  });

  it('opens another session each time', async () => {
    const user = await house.user();
    const [one, two] = [await login(replica, user), await login(replica, user)];
    expect(one.session_id).not.toBe(two.session_id);
  });
});

describe('session_ttl', () => {
  const NINETY_DAYS = 90 * 86_400;

  it.each([1, 45, 300, 601, 3600, 15 * 86_400, NINETY_DAYS])(
    'of %i s ends the session then, for good',
    async (ttl) => {
      const { username, password } = await house.user();
      const pair = (await post({ username, password, session_ttl: ttl })).json<TokenPair>();
      const [access, spent] = [claimsOf(pair.access_token), claimsOf(pair.refresh_token)];
      expect(access.session_exp - access.auth_time).toBe(ttl);
      expect(spent.session_exp).toBe(access.session_exp);
      // No token outlives the session, and none is longer than it would be without the wish.
      expect(access.exp - access.auth_time).toBe(Math.min(600, ttl));
      expect(spent.exp - spent.auth_time).toBe(Math.min(14 * 86_400, ttl));
      expect(pair.refresh_expires_in).toBe(Math.min(14 * 86_400, ttl));
    },
  );

  it('stays that of the session when its tokens are refreshed, and when the password is changed', async () => {
    const { username, password } = await house.user();
    await house.database.clock.freeze(1_900_000_000);
    const opened = (await post({ username, password, session_ttl: 900 })).json<TokenPair>();
    await house.database.clock.freeze(1_900_000_500);
    const next = (await refresh(replica, opened.refresh_token)).json<TokenPair>();
    const payload = { current_password: password, new_password: 'a lamp beside 7 quiet harbours' };
    const headers = bearer(next.access_token);
    const changed = await retryOn503(() =>
      replica.app.inject({ method: 'POST', url: '/password', headers, payload }),
    );
    for (const { access_token: token } of [next, changed.json<TokenPair>()])
      expect(claimsOf(token)).toMatchObject({ session_exp: 1_900_000_900, exp: 1_900_000_900 });
    await house.database.clock.release();
  });

  it.each([
    ['longer than SESSION_TTL', NINETY_DAYS + 1],
    ['longer than any', Number.MAX_SAFE_INTEGER],
    ['beyond whole numbers', 1e300],
    ['nothing', 0],
    ['negative', -1],
    ['broken', 1.5],
    ['a text', '600'],
    ['null', null],
  ])('that is %s is refused before the password is looked at', async (_what, ttl) => {
    const { username } = await house.user();
    for (let guess = 0; guess < 8; guess += 1) {
      const { status, error, errors } = problemOf(await post({ username, password: 'x', session_ttl: ttl }));
      expect([status, error, errors?.map(({ path }) => path)]).toEqual([
        400,
        'invalid_request',
        ['body/session_ttl'],
      ]);
    }
  });

  it('says what the longest is, by the setting of this replica', async () => {
    const brief = await house.replica({ config: { sessionTtlSeconds: 700, refreshTtlSeconds: 700 } });
    const { username, password } = await house.user();
    const ask = (ttl: number, more = {}) =>
      brief.app.inject({
        method: 'POST',
        url: '/login',
        payload: { username, password, session_ttl: ttl, ...more },
      });
    expect(problemOf(await ask(701)).errors).toEqual([
      { path: 'body/session_ttl', message: 'must be at most 700, the SESSION_TTL of the service' },
    ]);
    expect((await ask(700)).statusCode).toBe(200);
    const cookies = setCookiesOf(await ask(60, { transport: 'cookie' }));
    expect(cookies.map(({ maxAge }) => maxAge)).toEqual([120, 60]);
  });
});

describe('refusal', () => {
  it('gives one answer for every kind of wrong', async () => {
    const known = await house.user();
    const disabled = await house.user();
    await disableUser(database, disabled.username);
    const attempts = [
      { username: known.username, password: `${MARKER} wrong` },
      { username: known.username, password: '' },
      { username: `${MARKER} nobody`, password: known.password },
      { username: '', password: known.password },
      { username: 'no\u0000name\u202e', password: known.password },
      { username: 'a'.repeat(8000), password: 'b'.repeat(8000) },
      { username: disabled.username, password: disabled.password },
    ];
    const bodies = await Promise.all(
      attempts.map(async (attempt) => {
        const response = await post(attempt);
        expect(problemOf(response)).toEqual({
          status: 401,
          error: 'invalid_credentials',
          challenge: PLAIN_CHALLENGE,
        });
        return response.body.replace(/"instance":"[^"]+"/, '');
      }),
    );
    expect(new Set(bodies).size).toBe(1);
  });

  it.each([
    ['no body', '', 'body'],
    ['null', 'null', 'body'],
    ['an array', '[]', 'body'],
    ['a string', `"${MARKER}"`, 'body'],
    ['no password', { username: MARKER }, 'body/password'],
    ['no name', { password: MARKER }, 'body/username'],
    ['a number for a name', { username: 1, password: MARKER }, 'body/username'],
    ['a list for a password', { username: 'a', password: [MARKER] }, 'body/password'],
    ['half a character', { username: `${MARKER}\ud800`, password: 'b' }, 'body/username'],
    ['an unknown member', { username: 'a', password: 'b', extra: MARKER }, 'body'],
  ])('says what is wrong with %s', async (_what, payload, path) => {
    const { errors, ...refusal } = problemOf(await post(payload));
    expect(refusal).toEqual({ status: 400, error: 'invalid_request' });
    expect(errors?.map((issue) => issue.path)).toContain(path);
  });

  it.each([
    ['text that is no JSON', `{"username": "${MARKER}`],
    ['a prototype', `{"__proto__": {"username": "${MARKER}"}, "username": "a", "password": "b"}`],
  ])('says that %s is malformed', async (_what, payload) => {
    expect(problemOf(await post(payload))).toEqual({ status: 400, error: 'invalid_request' });
  });
});
