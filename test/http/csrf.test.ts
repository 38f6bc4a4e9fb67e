// A cookie counts where a page of this origin asks; a bearer token needs no such proof, and reading none either.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { MARKER, problemOf } from '../support/answers.js';
import { ACCESS, openBrowser, REFRESH, type Browser } from '../support/browser.js';
import { bearer, openHouse, type House, type Replica, type TestUser } from '../support/house.js';

/** Of `http://gatehouse.test/auth`: a path is no part of an origin. */
const OWN = 'http://gatehouse.test';
const NOBODY = '00000000-0000-7000-8000-000000000000';

type Headers = Record<string, string>;

let house: House;
let replica: Replica;
let user: TestUser;
let browser: Browser;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({
    config: { issuer: `${OWN}/auth`, corsOrigins: ['https://app.example.com'] },
  });
});
beforeEach(async () => {
  user = await house.user();
  browser = openBrowser(replica);
  await browser.login(user);
});
afterAll(() => house.close());

/** With both cookies, and nothing else that a browser would add. */
function send(method: string, url: string, headers: Headers = {}, payload?: object) {
  const cookie = [...browser.jar].map((pair) => pair.join('=')).join('; ');
  return replica.app.inject({ method, url, headers: { cookie, ...headers }, ...(payload && { payload }) });
}

/** The header that a refusal names; null for any other answer. Fails the test when a value is repeated, or a cookie cleared. */
function named(response: LightMyRequestResponse): string[] | null {
  if (response.statusCode !== 403) return null;
  expect(problemOf(response)).toEqual({ status: 403, error: 'csrf_rejected' });
  expect(response.headers).not.toHaveProperty('set-cookie');
  return response.json<{ detail: string }>().detail.match(/Sec-Fetch-Site|Origin\b|X-\w+-Method/g);
}

const UNSAFE: [method: string, url: string, payload?: object][] = [
  ['POST', '/refresh'],
  ['POST', '/logout-all', { except_current: true }],
  ['DELETE', `/sessions/${NOBODY}`],
  ['POST', '/password', { current_password: MARKER, new_password: MARKER }],
  ['POST', '/reauthenticate', { password: MARKER }],
  ['POST', '/logout'],
];

const FOREIGN: [what: string, headers: Headers, first: string][] = [
  ['neither header', {}, 'Sec-Fetch-Site'],
  ['cross-site', { 'sec-fetch-site': 'cross-site', origin: `https://${MARKER}.example` }, 'Sec-Fetch-Site'],
  ['a neighbour under the same domain', { 'sec-fetch-site': 'same-site' }, 'Sec-Fetch-Site'],
  ['the address bar', { 'sec-fetch-site': 'none' }, 'Sec-Fetch-Site'],
  ['a claim that its other header denies', { 'sec-fetch-site': 'cross-site', origin: OWN }, 'Sec-Fetch-Site'],
  ['another case', { 'sec-fetch-site': 'Same-Origin' }, 'Sec-Fetch-Site'],
  ['a list', { 'sec-fetch-site': 'same-origin, cross-site' }, 'Sec-Fetch-Site'],
  ['an empty value', { 'sec-fetch-site': '', origin: OWN }, 'Sec-Fetch-Site'],
  ['another origin', { origin: 'https://evil.example' }, 'Origin'],
  ['an origin that pages may call from with a bearer', { origin: 'https://app.example.com' }, 'Origin'],
  ['the origin null', { origin: 'null' }, 'Origin'],
  ['the origin in TLS', { origin: 'https://gatehouse.test' }, 'Origin'],
  ['another port', { origin: `${OWN}:8080` }, 'Origin'],
  ['the issuer', { origin: `${OWN}/auth` }, 'Origin'],
  ['two origins', { origin: `${OWN}, ${OWN}` }, 'Origin'],
];

describe.each(UNSAFE)('%s %s with cookies', (method, url, payload) => {
  it.each(FOREIGN)(
    'is refused for %s, naming the header and changing nothing',
    async (_what, headers, first) => {
      expect(named(await send(method, url, headers, payload))?.[0]).toBe(first);
      expect((await send('GET', '/session')).statusCode).toBe(200);
    },
  );

  it.each([
    ['Sec-Fetch-Site', { 'sec-fetch-site': 'same-origin' }],
    [
      'Sec-Fetch-Site, whatever the origin is',
      { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' },
    ],
    ['Origin, from a browser without the other header', { origin: OWN }],
  ])('is let in by %s', async (_what, headers: Headers) => {
    expect(named(await send(method, url, headers, payload))).toBeNull();
  });

  it('is not taken for reading by what a gateway would tell', async () => {
    for (const name of ['x-forwarded-method', 'x-original-method'])
      expect(named(await send(method, url, { [name]: 'GET' }, payload))?.[0]).toBe('Sec-Fetch-Site');
  });

  it('needs neither for a bearer token', async () => {
    const token = bearer(browser.jar.get(ACCESS) ?? '');
    expect(named(await send(method, url, { ...token, 'sec-fetch-site': 'cross-site' }, payload))).toBeNull();
  });
});

describe('a refusal', () => {
  const OWN_ALONE = 'only pages of the origin of Gatehouse may ask for this.';
  const UNTOLD =
    'and neither X-Forwarded-Method nor X-Original-Method says that nothing but reading is asked for.';
  const own = { 'sec-fetch-site': 'same-origin' };

  it.each<[sentence: string, method: string, url: string, headers: Headers]>([
    [`Sec-Fetch-Site is not same-origin: ${OWN_ALONE}`, 'POST', '/logout', { 'sec-fetch-site': 'none' }],
    [`Sec-Fetch-Site is missing, and so is Origin: ${OWN_ALONE}`, 'POST', '/logout', {}],
    [`Origin is another one: ${OWN_ALONE}`, 'POST', '/logout', { origin: 'https://evil.example' }],
    [
      `Sec-Fetch-Site is neither same-origin nor none, ${UNTOLD}`,
      'GET',
      '/session',
      { 'sec-fetch-site': 'same-site' },
    ],
    [`Origin is another one, ${UNTOLD}`, 'GET', '/session', { origin: 'https://evil.example' }],
    [
      'X-Forwarded-Method or X-Original-Method is repeated, or names no method.',
      'GET',
      '/session',
      { ...own, 'x-forwarded-method': 'GET, POST' },
    ],
    [
      'X-Forwarded-Method and X-Original-Method name different methods.',
      'GET',
      '/session',
      { ...own, 'x-forwarded-method': 'GET', 'x-original-method': 'POST' },
    ],
  ])('says to the people who write the page or the gateway: %s', async (sentence, method, url, headers) => {
    const response = await send(method, url, headers);
    expect(problemOf(response)).toEqual({ status: 403, error: 'csrf_rejected' });
    expect(response.json()).toMatchObject({ detail: sentence });
  });
});

it('needs neither header for a refresh token in the body', async () => {
  const payload = { refresh_token: browser.jar.get(REFRESH) };
  expect((await send('POST', '/refresh', { 'sec-fetch-site': 'cross-site' }, payload)).statusCode).toBe(200);
});

it('needs neither header where nothing but reading is asked for', async () => {
  for (const method of ['GET', 'HEAD']) {
    for (const headers of [{}, { 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }])
      expect((await send(method, '/sessions', headers)).statusCode).toBe(200);
  }
});

it('is no matter where there are no cookies', async () => {
  browser.jar.clear();
  for (const [method, url, payload] of UNSAFE) {
    const response = await send(method, url, { 'sec-fetch-site': 'cross-site' }, payload);
    expect(problemOf(response)).toMatchObject({ status: 401, error: 'invalid_token' });
  }
});

it('lets pages of other origins send no cookies, those that CORS allows neither', async () => {
  for (const url of ['/login', '/refresh', '/session']) {
    const headers = {
      origin: 'https://app.example.com',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-forwarded-method',
    };
    const preflight = await replica.app.inject({ method: 'OPTIONS', url, headers });
    expect(preflight.headers).not.toHaveProperty('access-control-allow-credentials');
    expect(preflight.headers['access-control-allow-headers']).toBe(
      'authorization, content-type, traceparent, tracestate, baggage, sentry-trace',
    );
  }
});

describe('POST /login with the transport cookie', () => {
  const logIn = (headers: Headers, transport = 'cookie') => {
    const payload = { username: user.username, password: user.password, transport };
    return replica.app.inject({ method: 'POST', url: '/login', headers, payload });
  };

  it.each(FOREIGN.filter(([what]) => what !== 'neither header'))(
    'is refused for %s',
    async (_what, headers, first) => {
      expect(named(await logIn(headers))?.[0]).toBe(first);
    },
  );

  it('is let in from a page of this origin, and from what is no browser', async () => {
    for (const headers of [{ 'sec-fetch-site': 'same-origin' }, { origin: OWN }, {}] as Headers[])
      expect((await logIn(headers)).headers['set-cookie']).toHaveLength(2);
  });

  it('spends no guess when refused', async () => {
    for (let time = 0; time < 10; time += 1) await logIn({ 'sec-fetch-site': 'cross-site' });
    expect((await logIn({})).statusCode).toBe(200);
  });

  it('is no concern of a login that answers in the body', async () => {
    expect((await logIn({ 'sec-fetch-site': 'cross-site' }, 'bearer')).statusCode).toBe(200);
  });
});

describe.each(['/session', '/session/any/path'])('%s for a gateway', (url) => {
  const FORWARDED = ['x-forwarded-method', 'x-original-method'];

  it.each(FORWARDED)('judges the method that %s tells', async (name) => {
    for (const safe of ['GET', 'HEAD', 'OPTIONS']) {
      for (const headers of [{}, { 'sec-fetch-site': 'cross-site' }] as Headers[])
        expect((await send('GET', url, { ...headers, [name]: safe })).statusCode).toBe(200);
    }
    for (const unsafe of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'get']) {
      for (const [, headers, first] of FOREIGN)
        expect(named(await send('GET', url, { ...headers, [name]: unsafe }))?.[0]).toBe(first);
      for (const headers of [{ 'sec-fetch-site': 'same-origin' }, { origin: OWN }] as Headers[])
        expect((await send('GET', url, { ...headers, [name]: unsafe })).statusCode).toBe(200);
    }
  });

  it.each(FORWARDED)('refuses %s where it is repeated or names no method', async (name) => {
    for (const value of ['GET, GET', 'GET,POST', 'GET POST', '', '\u00e4']) {
      const headers = { 'sec-fetch-site': 'same-origin', [name]: value };
      expect(named(await send('GET', url, headers))).toEqual(['X-Forwarded-Method', 'X-Original-Method']);
    }
  });

  it('refuses two different methods, and takes one that is told twice', async () => {
    const same = { 'sec-fetch-site': 'same-origin' };
    const differing = { ...same, 'x-forwarded-method': 'GET', 'x-original-method': 'POST' };
    expect(named(await send('GET', url, differing))).toEqual(['X-Forwarded-Method', 'X-Original-Method']);
    const agreeing = { ...same, 'x-forwarded-method': 'POST', 'x-original-method': 'POST' };
    expect((await send('GET', url, agreeing)).statusCode).toBe(200);
  });

  it('reads no method from headers in other spellings', async () => {
    const headers = {
      'sec-fetch-site': 'cross-site',
      x_forwarded_method: 'GET',
      'x-forwarded-methods': 'GET',
    };
    expect(named(await send('GET', url, headers))?.[0]).toBe('Sec-Fetch-Site');
  });

  it('takes no request of another site where no method is told', async () => {
    for (const site of ['cross-site', 'same-site', 'same-origin, none', ''])
      expect(named(await send('GET', url, { 'sec-fetch-site': site }))?.[0]).toBe('Sec-Fetch-Site');
    expect(named(await send('GET', url, { origin: 'https://evil.example' }))?.[0]).toBe('Origin');
    for (const headers of [
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      { origin: OWN },
      {},
    ])
      expect((await send('GET', url, headers as Headers)).statusCode).toBe(200);
  });

  it.each(['POST', 'DELETE', 'PROPFIND'])('judges a %s that is asked about as itself', async (method) => {
    for (const headers of [{}, { 'sec-fetch-site': 'none' }, { 'sec-fetch-site': 'cross-site' }] as Headers[])
      expect(named(await send(method, url, headers))?.[0]).toBe('Sec-Fetch-Site');
    expect((await send(method, url, { origin: OWN })).statusCode).toBe(200);
  });

  it('takes a WebSocket for more than reading, whatever method is told', async () => {
    const socket = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
    for (const told of [{}, { 'x-forwarded-method': 'GET' }]) {
      for (const [, headers, first] of FOREIGN)
        expect(named(await send('GET', url, { ...socket, ...told, ...headers }))?.[0]).toBe(first);
      for (const headers of [{ 'sec-fetch-site': 'same-origin' }, { origin: OWN }] as Headers[])
        expect((await send('GET', url, { ...socket, ...told, ...headers })).statusCode).toBe(200);
    }
  });

  it('asks a bearer for none of this', async () => {
    const token = bearer(browser.jar.get(ACCESS) ?? '');
    const headers = { ...token, 'sec-fetch-site': 'cross-site', 'x-forwarded-method': 'POST' };
    expect((await send('GET', url, headers)).statusCode).toBe(200);
  });
});
