// Tokens in cookies: set by login, renewed in place, ended with the session, and never where a script could read them.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { forge, MARKER, PLAIN_CHALLENGE, problemOf, TOKEN_CHALLENGE } from '../support/answers.js';
import { ACCESS, openBrowser, REFRESH, SAME_ORIGIN, setCookiesOf, type Browser } from '../support/browser.js';
import { replaceBuiltIn } from '../support/database.js';
import {
  bearer,
  claimsOf,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
} from '../support/house.js';

const NOON = 1_900_000_000;
const ATTRIBUTES = ['Path=/', 'Secure', 'HttpOnly', 'SameSite=Lax'];
const GRACE = 60;

let house: House;
let replica: Replica;
let client: TestClient;
let user: TestUser;
let browser: Browser;
let opened: LightMyRequestResponse;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({ config: { corsOrigins: ['https://app.example.com'] } });
  client = await house.client();
});
beforeEach(async () => {
  await house.database.clock.freeze(NOON);
  user = await house.user();
  browser = openBrowser(replica);
  opened = await browser.login(user);
});
afterAll(() => house.close());

function cookieOf(name: string): string {
  const value = browser.jar.get(name);
  if (value === undefined) throw new Error(`there is no cookie ${name}`);
  return value;
}

/** Everything of an answer that a script can read: no header but Set-Cookie is kept from it. */
function readable({ headers, body }: LightMyRequestResponse): string {
  return JSON.stringify({ ...headers, 'set-cookie': undefined, body });
}

function isCleared(response: LightMyRequestResponse): boolean {
  const cleared = setCookiesOf(response);
  // It would cost a browser more than it is worth, whatever it clears.
  expect(response.headers).not.toHaveProperty('clear-site-data');
  if (cleared.length === 0) return false;
  const gone = { value: '', maxAge: 0, attributes: ATTRIBUTES };
  expect(cleared).toEqual([
    { name: ACCESS, ...gone },
    { name: REFRESH, ...gone },
  ]);
  return true;
}

async function isActive(token: string): Promise<boolean> {
  return (await introspect(replica, client, token)).json<{ active: boolean }>().active;
}

describe('POST /login with the transport cookie', () => {
  it('puts both tokens into cookies, and into nothing else', () => {
    const access = claimsOf(cookieOf(ACCESS));
    expect(opened.json()).toEqual({ expires_in: 600, session_id: access.sid });
    expect(setCookiesOf(opened)).toEqual([
      { name: ACCESS, value: cookieOf(ACCESS), maxAge: 600 + GRACE, attributes: ATTRIBUTES },
      { name: REFRESH, value: cookieOf(REFRESH), maxAge: 14 * 86_400, attributes: ATTRIBUTES },
    ]);
    expect(opened.headers.vary).toBe('Origin, Authorization, Cookie');
    expect(opened.headers['cache-control']).toBe('no-store');
    for (const token of browser.jar.values()) expect(readable(opened)).not.toContain(token);
  });

  it('gives cookies that end with the tokens when the session is short', async () => {
    const short = await house.replica({
      config: { refreshTtlSeconds: 900, sessionTtlSeconds: 300, reissueGraceSeconds: 0 },
    });
    const response = await openBrowser(short).login(await house.user());
    expect(setCookiesOf(response).map(({ maxAge }) => maxAge)).toEqual([300, 300]);
  });

  it.each([undefined, 'bearer'])('sets none for the transport %s', async (transport) => {
    const payload = { username: user.username, password: user.password, transport };
    const response = await replica.app.inject({ method: 'POST', url: '/login', payload });
    expect(Object.keys(response.json<object>())).toContain('refresh_token');
    expect(response.headers).not.toHaveProperty('set-cookie');
  });

  it.each(['body', 'Cookie', '', null, ['cookie']])('does not know the transport %j', async (transport) => {
    const payload = { username: user.username, password: user.password, transport };
    const { errors, ...refusal } = problemOf(
      await replica.app.inject({ method: 'POST', url: '/login', payload }),
    );
    expect(refusal).toEqual({ status: 400, error: 'invalid_request' });
    expect(errors?.map(({ path }) => path)).toEqual(['body/transport']);
  });

  it('sets none for a wrong password, and clears none', async () => {
    const payload = { username: user.username, password: MARKER, transport: 'cookie' };
    const response = await browser.send('POST', '/login', { payload });
    expect(response.statusCode).toBe(401);
    expect(response.headers).not.toHaveProperty('set-cookie');
  });
});

describe('the access cookie', () => {
  it('is taken wherever a bearer token is', async () => {
    expect((await browser.send('GET', '/session')).json()).toEqual(claimsOf(cookieOf(ACCESS)));
    expect((await browser.send('PATCH', '/session/any/path')).headers['x-auth-subject']).toBe(user.id);
    expect((await browser.send('GET', '/sessions')).json()).toMatchObject({ sessions: [{ current: true }] });
    const payload = { except_current: true };
    expect((await browser.send('POST', '/logout-all', { payload })).json()).toEqual({ sessions_ended: 0 });
    const other = (await login(replica, user)).session_id;
    expect((await browser.send('DELETE', `/sessions/${other}`)).statusCode).toBe(204);
    expect(await isActive(cookieOf(ACCESS))).toBe(true);
  });

  it('is not read where a bearer token is sent, good or bad', async () => {
    const other = await house.user();
    const { access_token: token } = await login(replica, other);
    const good = await browser.send('GET', '/session', { headers: bearer(token) });
    expect(good.json()).toMatchObject({ sub: other.id });
    for (const authorization of ['Bearer', `Bearer ${MARKER}`, `Bearer ${forge(token)}`]) {
      const bad = await browser.send('GET', '/session', { headers: { authorization } });
      expect(bad.statusCode).toBe(401);
    }
  });

  it('is read beside another scheme, which carries no token of ours', async () => {
    const headers = { authorization: 'Basic c3RhZ2luZzpzdGFnaW5n' };
    expect((await browser.send('GET', '/session', { headers })).statusCode).toBe(200);
  });

  it('is read with any blanks that a gateway has put between cookies', async () => {
    for (const blanks of ['', '  ', '\t', ' \t ']) {
      const cookie = `a=b;${blanks}${ACCESS}=${cookieOf(ACCESS)};${blanks}c=d`;
      expect((await browser.send('GET', '/session', { headers: { cookie } })).statusCode).toBe(200);
    }
  });

  it.each([
    ['a refresh token', () => cookieOf(REFRESH)],
    ['a forged token', () => forge(cookieOf(ACCESS))],
    ['a text that is no token', () => MARKER],
    ['a token in quotes', () => `"${cookieOf(ACCESS)}"`],
    ['a token in percent-encoding', () => cookieOf(ACCESS).replaceAll('.', '%2E')],
    ['a token with a space behind it', () => `${cookieOf(ACCESS)} ; a=b`],
  ])('is refused with %s, and not cleared: the refresh token may be good', async (_what, value) => {
    const cookie = `${ACCESS}=${value()}; ${REFRESH}=${cookieOf(REFRESH)}`;
    const response = await browser.send('GET', '/session', { headers: { cookie } });
    expect(problemOf(response)).toEqual({
      status: 401,
      error: 'invalid_token',
      challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
    });
    expect(isCleared(response)).toBe(false);
  });

  it('means nothing to resource servers, who send tokens in forms', async () => {
    const headers = { cookie: `${ACCESS}=${cookieOf(ACCESS)}`, ...SAME_ORIGIN };
    for (const url of ['/introspect', '/revoke']) {
      const response = await replica.app.inject({ method: 'POST', url, headers });
      expect([400, 401]).toContain(response.statusCode);
    }
    expect(await isActive(cookieOf(ACCESS))).toBe(true);
  });

  it('is succeeded in place near its end, and in no header', async () => {
    const first = cookieOf(ACCESS);
    await house.database.clock.advance(500);
    const response = await browser.send('GET', '/session');
    expect(response.statusCode).toBe(200);
    expect(claimsOf(cookieOf(ACCESS))).toMatchObject({ iat: NOON + 480, exp: NOON + 1080 });
    expect(setCookiesOf(response)).toEqual([
      { name: ACCESS, value: cookieOf(ACCESS), maxAge: 580 + GRACE, attributes: ATTRIBUTES },
    ]);
    expect(response.headers).not.toHaveProperty('refreshed-api-token');
    expect(response.headers.vary).toBe('Origin, Authorization, Cookie');
    expect(readable(response)).not.toContain(cookieOf(ACCESS));
    expect((await browser.send('GET', '/session')).headers).not.toHaveProperty('set-cookie');
    expect(cookieOf(ACCESS)).not.toBe(first);
  });

  it.each(['/session', '/session/any', '/sessions'])(
    'is succeeded by the 401 of the grace at %s',
    async (url) => {
      await house.database.clock.advance(659);
      const response = await browser.send('GET', url);
      expect(response.statusCode).toBe(401);
      expect(setCookiesOf(response)).toMatchObject([{ name: ACCESS, maxAge: 421 + GRACE }]);
      expect(response.headers).not.toHaveProperty('refreshed-api-token');
      expect((await browser.send('GET', url)).statusCode).toBe(200);
    },
  );

  it('is neither succeeded nor cleared after the grace', async () => {
    await house.database.clock.advance(660);
    const response = await browser.send('GET', '/session');
    expect(response.statusCode).toBe(401);
    expect(isCleared(response)).toBe(false);
  });

  it('keeps its successor in the header for who sends a bearer, whatever cookies come along', async () => {
    await house.database.clock.advance(500);
    const response = await browser.send('GET', '/session', { headers: bearer(cookieOf(ACCESS)) });
    expect(response.headers).toHaveProperty('refreshed-api-token');
    expect(response.headers).not.toHaveProperty('set-cookie');
    expect(response.headers.vary).toBe('Origin, Authorization');
  });
});

describe('POST /refresh by cookie', () => {
  it.each([
    ['no body', undefined],
    ['an empty object', {}],
    ['null', 'null'],
  ])('rotates both cookies for %s', async (_what, payload) => {
    const [access, old] = [cookieOf(ACCESS), cookieOf(REFRESH)];
    await house.database.clock.advance(100);
    const headers = payload === undefined ? {} : { 'content-type': 'application/json' };
    const response = await browser.send('POST', '/refresh', { headers, ...(payload && { payload }) });
    expect(response.json()).toEqual({ expires_in: 600, session_id: claimsOf(access).sid });
    expect(setCookiesOf(response)).toEqual([
      { name: ACCESS, value: cookieOf(ACCESS), maxAge: 600 + GRACE, attributes: ATTRIBUTES },
      { name: REFRESH, value: cookieOf(REFRESH), maxAge: 14 * 86_400, attributes: ATTRIBUTES },
    ]);
    expect(claimsOf(cookieOf(REFRESH)).jti).toBe(`${claimsOf(old).sid}.1`);
    expect(response.headers.vary).toBe('Origin, Authorization, Cookie');
    for (const token of browser.jar.values()) expect(readable(response)).not.toContain(token);
  });

  it('answers a token in the body in the body, and leaves the cookies alone', async () => {
    const other = await login(replica, await house.user());
    const payload = { refresh_token: other.refresh_token };
    const response = await browser.send('POST', '/refresh', { payload });
    expect(response.json()).toMatchObject({ session_id: other.session_id, token_type: 'Bearer' });
    expect(response.headers).not.toHaveProperty('set-cookie');
    const bad = await browser.send('POST', '/refresh', { payload: { refresh_token: MARKER } });
    expect(bad.statusCode).toBe(401);
    expect(isCleared(bad)).toBe(false);
  });

  it('reads no cookie beside a bearer token', async () => {
    const response = await browser.send('POST', '/refresh', { headers: bearer(cookieOf(ACCESS)) });
    expect(problemOf(response)).toMatchObject({ status: 401, error: 'invalid_token' });
    expect(isCleared(response)).toBe(false);
    expect((await browser.send('POST', '/refresh')).statusCode).toBe(200);
  });

  it('is challenged without an error where there is no token at all, and clears nothing', async () => {
    browser.jar.delete(REFRESH);
    const response = await browser.send('POST', '/refresh');
    expect(problemOf(response)).toEqual({
      status: 401,
      error: 'invalid_token',
      challenge: PLAIN_CHALLENGE,
    });
    expect(isCleared(response)).toBe(false);
  });

  it('gives a second tab the same refresh token', async () => {
    const other = openBrowser(replica);
    for (const pair of browser.jar) other.jar.set(...pair);
    await browser.send('POST', '/refresh');
    expect((await other.send('POST', '/refresh')).statusCode).toBe(200);
    expect(other.jar.get(REFRESH)).toBe(cookieOf(REFRESH));
  });

  it('clears nothing for the loser of a race', async () => {
    const old = cookieOf(REFRESH);
    await browser.send('POST', '/refresh');
    await browser.send('POST', '/refresh');
    const response = await browser.send('POST', '/refresh', { headers: { cookie: `${REFRESH}=${old}` } });
    expect(problemOf(response)).toMatchObject({ error: 'refresh_superseded' });
    expect(isCleared(response)).toBe(false);
    expect((await browser.send('POST', '/refresh')).statusCode).toBe(200);
  });

  it('clears both for a token that was spent long ago', async () => {
    const old = cookieOf(REFRESH);
    await browser.send('POST', '/refresh');
    await house.database.clock.advance(31);
    const response = await browser.send('POST', '/refresh', { headers: { cookie: `${REFRESH}=${old}` } });
    expect(problemOf(response)).toMatchObject({ error: 'refresh_reused' });
    expect(isCleared(response)).toBe(true);
  });

  it.each([
    ['expired', () => house.database.clock.advance(14 * 86_400)],
    ['forged', () => void browser.jar.set(REFRESH, forge(cookieOf(REFRESH)))],
    ['an access token', () => void browser.jar.set(REFRESH, cookieOf(ACCESS))],
    [
      'ended',
      () => replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(cookieOf(ACCESS)) }),
    ],
  ])('clears both for a token that is %s', async (_what, change) => {
    await change();
    const response = await browser.send('POST', '/refresh');
    expect(problemOf(response)).toEqual({
      status: 401,
      error: 'invalid_token',
      challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
    });
    expect(isCleared(response)).toBe(true);
    expect(browser.jar.size).toBe(0);
  });
});

describe('an end', () => {
  it.each([
    ['both cookies', [ACCESS, REFRESH]],
    ['the refresh cookie', [REFRESH]],
    ['the access cookie', [ACCESS]],
  ])('by POST /logout with %s clears both', async (_what, names) => {
    const [access, last] = [cookieOf(ACCESS), cookieOf(REFRESH)];
    const cookie = names.map((name) => `${name}=${cookieOf(name)}`).join('; ');
    const response = await browser.send('POST', '/logout', { headers: { cookie } });
    expect([response.statusCode, response.body]).toEqual([204, '']);
    expect(isCleared(response)).toBe(true);
    expect(await isActive(access)).toBe(false);
    expect((await refresh(replica, last)).statusCode).toBe(401);
  });

  it('by POST /logout takes an empty object, expired cookies and a second call', async () => {
    const cookie = `${ACCESS}=${cookieOf(ACCESS)}; ${REFRESH}=${cookieOf(REFRESH)}`;
    await house.database.clock.advance(100 * 86_400);
    for (const payload of [{}, undefined]) {
      const response = await browser.send('POST', '/logout', {
        headers: { cookie },
        ...(payload && { payload }),
      });
      expect(response.statusCode).toBe(204);
      expect(isCleared(response)).toBe(true);
    }
  });

  it('by POST /logout clears what could not have been ours', async () => {
    const cookie = `${ACCESS}=${MARKER}; ${REFRESH}=${MARKER}`;
    const response = await browser.send('POST', '/logout', { headers: { cookie } });
    expect(problemOf(response)).toMatchObject({ status: 401, error: 'invalid_token' });
    expect(isCleared(response)).toBe(true);
  });

  it.each([ACCESS, REFRESH])(
    'by POST /logout is one although the other cookie, %s, is none of ours',
    async (name) => {
      const access = cookieOf(ACCESS);
      browser.jar.set(name, MARKER);
      const response = await browser.send('POST', '/logout');
      expect(response.statusCode).toBe(204);
      expect(isCleared(response)).toBe(true);
      expect(await isActive(access)).toBe(false);
    },
  );

  it('by POST /logout is one of both sessions where a late answer has left the cookie of another', async () => {
    const other = await login(replica, await house.user());
    const own = cookieOf(ACCESS);
    browser.jar.set(ACCESS, other.access_token);
    expect((await browser.send('POST', '/logout')).statusCode).toBe(204);
    expect(await isActive(own)).toBe(false);
    expect(await isActive(other.access_token)).toBe(false);
  });

  it('of another session by its own token leaves the cookies alone', async () => {
    const other = await login(replica, user);
    const byHeader = await browser.send('POST', '/logout', { headers: bearer(other.access_token) });
    const payload = { refresh_token: other.refresh_token };
    const byBody = await browser.send('POST', '/logout', { payload });
    expect([byHeader.statusCode, byBody.statusCode]).toEqual([204, 204]);
    expect([isCleared(byHeader), isCleared(byBody)]).toEqual([false, false]);
    expect((await browser.send('GET', '/session')).statusCode).toBe(200);
  });

  it('by POST /logout-all clears both, but for the session that is kept', async () => {
    const payload = { except_current: true };
    expect(isCleared(await browser.send('POST', '/logout-all', { payload }))).toBe(false);
    expect(isCleared(await browser.send('POST', '/logout-all'))).toBe(true);
  });

  it('by DELETE /sessions/:id clears both when it is the one that asks', async () => {
    const other = await login(replica, user);
    expect(isCleared(await browser.send('DELETE', `/sessions/${other.session_id}`))).toBe(false);
    const { sid } = claimsOf(cookieOf(ACCESS));
    expect(isCleared(await browser.send('DELETE', `/sessions/${sid}`))).toBe(true);
  });

  it('clears nothing for who asks with a bearer', async () => {
    const headers = bearer(cookieOf(ACCESS));
    const { sid } = claimsOf(cookieOf(ACCESS));
    expect(isCleared(await browser.send('DELETE', `/sessions/${sid}`, { headers }))).toBe(false);
  });
});

describe('a failure on our side', () => {
  /** The list fails after the door has let the token in, and has put its successor on the answer. */
  async function breakTheList(sqlstate: string): Promise<void> {
    const { admin } = house.database;
    onTestFinished(
      await replaceBuiltIn(
        (sql) => admin.query(sql),
        'to_char(timestamp, text)',
        `RETURNS text LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = '${sqlstate}'; END $$`,
      ),
    );
    await house.database.clock.advance(500);
  }

  it.each([
    [503, '57P03'],
    [500, '22012'],
  ])('withdraws what the answer was about to carry: %i', async (status, sqlstate) => {
    const access = cookieOf(ACCESS);
    expect(setCookiesOf(await browser.send('GET', '/sessions'))).toEqual([]);
    await breakTheList(sqlstate);
    const byCookie = await browser.send('GET', '/sessions');
    expect(byCookie.statusCode).toBe(status);
    expect(byCookie.headers).not.toHaveProperty('set-cookie');
    const byHeader = await replica.app.inject({ url: '/sessions', headers: bearer(access) });
    expect(byHeader.statusCode).toBe(status);
    expect(byHeader.headers).not.toHaveProperty('refreshed-api-token');
    expect(setCookiesOf(await browser.send('GET', '/session'))).toMatchObject([{ name: ACCESS }]);
  });

  it.each([
    ['POST', '/refresh'],
    ['POST', '/logout'],
    ['POST', '/logout-all'],
    ['POST', '/password'],
    ['POST', '/reauthenticate'],
    ['GET', '/session'],
    ['GET', '/sessions'],
    ['DELETE', '/sessions/own'],
  ])('clears nothing at %s %s, and the cookies go on being good', async (method, url) => {
    const { admin } = house.database;
    const path = url.replace('own', claimsOf(cookieOf(ACCESS)).sid);
    const jar = new Map(browser.jar);
    const { rows: clocks } = await admin.query<{ definition: string }>(
      `SELECT pg_get_functiondef('pg_catalog.clock_timestamp'::regproc) AS definition`,
    );
    await admin.query(
      `CREATE OR REPLACE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '57P03'; END $$`,
    );
    const passwords = { current_password: user.password, new_password: 'correct horse battery staple' };
    const bodies: Record<string, object> = {
      '/password': passwords,
      '/reauthenticate': { password: user.password },
    };
    const payload = bodies[url];
    const response = await browser.send(method, path, payload === undefined ? {} : { payload });
    await admin.query(clocks[0]?.definition ?? '');
    expect(problemOf(response)).toEqual({ status: 503, error: 'temporarily_unavailable' });
    expect(response.headers).not.toHaveProperty('set-cookie');
    expect(browser.jar).toEqual(jar);
    expect((await browser.send('GET', '/session')).statusCode).toBe(200);
    expect((await browser.send('POST', '/refresh')).statusCode).toBe(200);
  });
});

describe('a refusal that says nothing about the session clears nothing', () => {
  const foreign = { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.example' };
  const json = { 'content-type': 'application/json' };

  it.each<[string, number, string, string, Parameters<Browser['send']>[2]]>([
    ['another page’s refresh', 403, 'POST', '/refresh', { headers: foreign }],
    ['another page’s logout', 403, 'POST', '/logout', { headers: foreign }],
    ['another page’s logout everywhere', 403, 'POST', '/logout-all', { headers: foreign }],
    ['a body that is malformed', 400, 'POST', '/refresh', { headers: json, payload: '{' }],
    ['a body with an unknown member', 400, 'POST', '/logout', { payload: { x: 1 } }],
    [
      'a body of another type',
      415,
      'POST',
      '/logout',
      { headers: { 'content-type': 'text/plain' }, payload: 'x' },
    ],
    ['a method that does not exist', 405, 'PUT', '/logout', {}],
    ['a path that does not exist', 404, 'POST', '/logouts', {}],
    ['a session that does not exist', 404, 'DELETE', '/sessions/none', {}],
    [
      'a wrong current password',
      401,
      'POST',
      '/password',
      { payload: { current_password: 'wrong', new_password: 'correct horse battery staple' } },
    ],
    ['a wrong password', 401, 'POST', '/reauthenticate', { payload: { password: 'wrong' } }],
  ])('%s: %i', async (_what, status, method, url, options) => {
    const response = await browser.send(method, url, options);
    expect(response.statusCode).toBe(status);
    expect(response.headers).not.toHaveProperty('set-cookie');
    expect((await browser.send('GET', '/session')).statusCode).toBe(200);
    expect((await browser.send('POST', '/refresh')).statusCode).toBe(200);
  });
});

describe('a cookie that is there twice', () => {
  it.each([
    ['GET', '/session', ACCESS],
    ['GET', '/session/any', ACCESS],
    ['GET', '/sessions', ACCESS],
    ['POST', '/logout-all', ACCESS],
    ['POST', '/logout', REFRESH],
    ['POST', '/refresh', REFRESH],
  ])('is refused by %s %s, and nothing is cleared', async (method, url, name) => {
    for (const second of [cookieOf(name), MARKER, '']) {
      for (const cookie of [
        `${name}=${cookieOf(name)}; ${name}=${second}`,
        `${name}=${second};a=b;${name}=${cookieOf(name)}`,
      ]) {
        const response = await browser.send(method, url, { headers: { cookie } });
        expect(problemOf(response)).toEqual({ status: 400, error: 'invalid_request' });
        expect(response.json<{ detail: string }>().detail).toContain(name);
        expect(isCleared(response)).toBe(false);
      }
    }
    expect((await browser.send('GET', '/session')).statusCode).toBe(200);
  });

  it.each([
    ['another case', () => `__host-gatehouse-access=${MARKER}; __HOST-GATEHOUSE-ACCESS=${MARKER}`],
    ['white space that only some readers trim', () => `\u00a0${ACCESS}=${MARKER}; \u0085${ACCESS}=${MARKER}`],
    ['a space before its sign', () => `${ACCESS} =${MARKER}`],
    ['an escape', () => `__Host%2Dgatehouse-access=${MARKER}`],
    ['quotes', () => `"${ACCESS}"=${MARKER}`],
    ['a version', () => `$Version=1; $Path=/; ${ACCESS}x=${MARKER}`],
    ['no value', () => `${ACCESS}; ${ACCESS}`],
  ])('is not one in %s', async (_what, others) => {
    const cookie = `${others()}; ${ACCESS}=${cookieOf(ACCESS)}; other=1; other=2`;
    const response = await browser.send('GET', '/session', { headers: { cookie } });
    expect(response.json()).toMatchObject({ sub: user.id });
    const alone = await browser.send('GET', '/session', { headers: { cookie: others() } });
    expect(problemOf(alone)).toEqual({ status: 401, error: 'invalid_token', challenge: PLAIN_CHALLENGE });
  });
});
