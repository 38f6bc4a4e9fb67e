// Refusals that no single endpoint owns: too large, of the wrong type, malformed before there is a route, and our bugs.
// How an error is written, without a service: test/unit/http/errors.test.ts.
import type { AddressInfo } from 'node:net';
import type { InjectOptions } from 'fastify';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import {
  CLIENT_CHALLENGE,
  MARKER,
  oauthErrorOf,
  PLAIN_CHALLENGE,
  problemOf,
  TOKEN_CHALLENGE,
  type Refusal,
} from '../support/answers.js';
import {
  basic,
  bearer,
  DEFAULTS,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';
import { exchange, refusalOf } from '../support/raw-socket.js';

const LIMIT = 16 * 1024;
const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';

let house: House;
let replica: Replica;
let client: TestClient;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client();
  pair = await login(replica, await house.user());
});
afterAll(() => house.close());

/** Each URL that takes a body, the type it takes, and how its refusals are written. */
const BODIES: [url: string, type: string, headers: () => Record<string, string>, read: typeof problemOf][] = [
  ['/login', JSON_TYPE, () => ({}), problemOf],
  ['/refresh', JSON_TYPE, () => ({}), problemOf],
  ['/logout', JSON_TYPE, () => ({}), problemOf],
  ['/logout-all', JSON_TYPE, () => bearer(pair.access_token), problemOf],
  ['/introspect', FORM_TYPE, () => basic(client), oauthErrorOf],
  ['/revoke', FORM_TYPE, () => basic(client), oauthErrorOf],
];

describe.each(BODIES)('POST %s', (url, type, headers, read) => {
  function post(payload: string | Buffer, contentType: string | undefined = type) {
    return replica.app.inject({
      method: 'POST',
      url,
      headers: { ...headers(), 'content-type': contentType },
      payload,
    });
  }

  /** A well-formed body of this many bytes, that no endpoint takes for long. */
  function bodyOf(bytes: number): string {
    const [before, after] = type === JSON_TYPE ? ['{"unknown":"', '"}'] : ['token=', ''];
    return before + MARKER.padEnd(bytes - before.length - after.length, 'x') + after;
  }

  it('reads 16 KiB and refuses one byte more', async () => {
    expect((await post(bodyOf(LIMIT))).statusCode).toBe(type === JSON_TYPE ? 400 : 200);
    expect(read(await post(bodyOf(LIMIT + 1)))).toEqual({ status: 413, error: 'too_large' });
  });

  it('refuses too much without a length in advance', async () => {
    const { address } = await listen(replica);
    const body = new Blob([bodyOf(LIMIT + 1)]).stream();
    const response = await fetch(`${address}${url}`, {
      method: 'POST',
      headers: { ...headers(), 'content-type': type },
      body,
      duplex: 'half',
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: 'too_large' });
  });

  it.each([
    type === JSON_TYPE ? FORM_TYPE : JSON_TYPE,
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/xml',
    `application/${MARKER}`,
    'garbage',
  ])('refuses the type %s', async (contentType) => {
    expect(read(await post('token=a', contentType))).toEqual({
      status: 415,
      error: 'unsupported_media_type',
    });
  });

  it('refuses a body without a type', async () => {
    const response = await replica.app.inject({
      method: 'POST',
      url,
      headers: headers(),
      payload: Buffer.from(MARKER),
    });
    expect(read(response)).toEqual({ status: 415, error: 'unsupported_media_type' });
  });

  it('takes its type with parameters and in any case', async () => {
    const response = await post(bodyOf(100), `${type.toUpperCase()}; charset=UTF-8`);
    expect(response.statusCode).toBe(type === JSON_TYPE ? 400 : 200);
  });
});

describe('what was sent', () => {
  /** On a loopback listener a page that names another host gets one answer to everything. */
  let listening: Replica;
  beforeAll(async () => {
    listening = await house.replica({ config: { host: '0.0.0.0' } });
  });

  const MARKED = {
    'user-agent': MARKER,
    'x-request-id': MARKER,
    'x-forwarded-for': MARKER,
    'x-auth-subject': MARKER,
    origin: `https://${MARKER}.example`,
    referer: `https://${MARKER}.example/`,
    cookie: `a=${MARKER}`,
    host: `${MARKER}.example`,
    accept: `text/${MARKER}`,
  };

  it.each([
    ['POST', '/login', 400, problemOf],
    ['POST', '/refresh', 401, problemOf],
    ['POST', '/logout', 401, problemOf],
    ['POST', '/logout-all', 401, problemOf],
    ['GET', '/session', 401, problemOf],
    ['GET', '/sessions', 401, problemOf],
    ['DELETE', `/sessions/${MARKER}`, 401, problemOf],
    ['POST', '/introspect', 400, oauthErrorOf],
    ['POST', '/revoke', 400, oauthErrorOf],
    ['PATCH', '/health', 405, problemOf],
    ['GET', `/${MARKER}`, 404, problemOf],
  ] as const)('is not in the refusal of %s %s', async (method, url, status, read) => {
    const headers = { ...MARKED, authorization: `Bearer ${MARKER}` };
    const response = await listening.app.inject({ method, url: `${url}?${MARKER}=${MARKER}`, headers });
    expect(read(response)).toMatchObject({ status });
  });
});

it('repeats the name of an unknown member, but no more than 200 characters about it', async () => {
  const post = (name: string) =>
    replica.app.inject({
      method: 'POST',
      url: '/login',
      payload: { username: 'a', password: 'b', [name]: 1 },
    });
  const [short, long] = [problemOf(await post('colour')), problemOf(await post('x'.repeat(5000)))];
  expect(short.errors?.[0]?.message).toContain('colour');
  expect(long.errors?.map(({ message }) => message.length)).toEqual([200]);
});

it('lists the first twenty mistakes of a request, and no more', async () => {
  const response = await replica.app.inject({
    method: 'POST',
    url: '/introspect/batch',
    headers: basic(client),
    payload: { tokens: Array.from({ length: 30 }, () => 1) },
  });
  const paths = problemOf(response).errors?.map(({ path }) => path);
  expect(paths).toEqual(Array.from({ length: 20 }, (_, index) => `body/tokens/${index}`));
});

describe('before there is a route', () => {
  it.each(['/%', `/%zz${MARKER}`, `/session/%zz${MARKER}`, `/sessions/%c3%28${MARKER}`, '/introspect/%'])(
    'a URL that cannot be decoded is malformed: %s',
    async (url) => {
      expect(problemOf(await replica.app.inject({ url }))).toEqual({ status: 400, error: 'invalid_request' });
    },
  );

  it('headers over 16 KiB are too large', async () => {
    const { status, refusal } = await sendRaw(
      `GET /session HTTP/1.1\r\nHost: a\r\nX: ${MARKER.repeat(1800)}\r\n\r\n`,
    );
    expect(status).toBe(431);
    expect(refusal).toEqual({ status: 431, error: 'headers_too_large' });
  });

  it.each([
    ['no HTTP', `${MARKER}\r\n\r\n`],
    ['an unknown method', `${MARKER} / HTTP/1.1\r\nHost: a\r\n\r\n`],
    ['a header without a colon', `GET / HTTP/1.1\r\nHost: a\r\n${MARKER}\r\n\r\n`],
    ['two lengths', `POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
  ])('%s is malformed', async (_what, text) => {
    expect((await sendRaw(text)).refusal).toEqual({ status: 400, error: 'invalid_request' });
  });

  /** Speaks to a socket, and reads the answer as strictly as any other. */
  async function sendRaw(text: string): Promise<{ status: number; refusal: Refusal }> {
    const { port } = await listen(replica);
    const [answer] = await exchange(port, text);
    if (answer === undefined) throw new Error('there was no answer');
    return { status: answer.status, refusal: refusalOf(answer) };
  }
});

describe('who sends no token, or too many,', () => {
  const both = () => ({ headers: bearer(pair.access_token), payload: { refresh_token: pair.refresh_token } });

  it.each<[sentence: string, method: 'GET' | 'POST', url: string, options?: () => InjectOptions]>([
    ['Send an access token as `Authorization: Bearer`, or as a cookie.', 'GET', '/session'],
    ['Send an access token as `Authorization: Bearer`, or as a cookie.', 'POST', '/logout-all'],
    ['Send a refresh token as `refresh_token` in the body, or as a cookie.', 'POST', '/refresh'],
    ['Send either token.', 'POST', '/logout'],
    ['Send the access token or the refresh token, not both.', 'POST', '/logout', both],
  ])('is told: %s', async (sentence, method, url, options = () => ({})) => {
    const response = await replica.app.inject({ method, url, ...options() });
    problemOf(response);
    expect(response.json()).toMatchObject({ detail: sentence });
  });

  it('is told so about the member where there is a body', async () => {
    const response = await replica.app.inject({ method: 'POST', url: '/refresh', payload: {} });
    expect(problemOf(response).errors).toEqual([
      { path: 'body/refresh_token', message: 'is missing: send a refresh token here, or as a cookie' },
    ]);
  });
});

describe('a 401', () => {
  const wrongClient = () => basic({ ...client, secret: 'wrong' });
  const WRONG = { current_password: 'not the password', new_password: 'another password of some length' };

  it.each<[what: string, challenge: unknown, request: () => InjectOptions]>([
    ['without a token names the way in', PLAIN_CHALLENGE, () => ({ url: '/session' })],
    [
      'about a token says so',
      expect.stringMatching(TOKEN_CHALLENGE),
      () => ({ url: '/session', headers: bearer(MARKER) }),
    ],
    [
      'about a password says nothing of the token that came along',
      PLAIN_CHALLENGE,
      () => ({ method: 'POST', url: '/password', headers: bearer(pair.access_token), payload: WRONG }),
    ],
    [
      'to an operator’s program asks for its secret',
      CLIENT_CHALLENGE,
      () => ({ url: '/admin/users', headers: { ...wrongClient(), accept: 'application/json' } }),
    ],
    [
      'to an operator’s page opens no dialog',
      PLAIN_CHALLENGE,
      () => ({ url: '/admin/users', headers: { ...wrongClient(), accept: 'text/html' } }),
    ],
  ])('%s', async (_what, challenge, request) => {
    expect(problemOf(await replica.app.inject(request()))).toMatchObject({ status: 401, challenge });
  });

  it('to a client asks for its secret, whatever it would like to read', async () => {
    const headers = { ...wrongClient(), 'content-type': FORM_TYPE, accept: 'text/html' };
    const response = await replica.app.inject({
      method: 'POST',
      url: '/introspect',
      headers,
      payload: 'token=a',
    });
    expect(oauthErrorOf(response)).toMatchObject({ status: 401, challenge: CLIENT_CHALLENGE });
  });
});

it('a file that the pages of the documentation do not have is not found', async () => {
  const response = await replica.app.inject(`/docs/static/${MARKER}`);
  expect(problemOf(response)).toEqual({ status: 404, error: 'not_found' });
});

it('names the body where a mistake is no single member’s', async () => {
  const payload = { username: 'a', password: 'b', colour: 1 };
  const response = await replica.app.inject({ method: 'POST', url: '/login', payload });
  expect(problemOf(response).errors?.map(({ path }) => path)).toEqual(['body']);
});

describe('a bug of ours', () => {
  const SECRET_DETAIL = `${MARKER} SELECT * FROM sessions`;

  async function withBrokenRoutes(): Promise<Replica> {
    const { gatehouse, database } = replica;
    const app = await buildApp({ gatehouse, config: DEFAULTS, logger: pino({ level: 'silent' }) });
    const fail = () => {
      throw new TypeError(SECRET_DETAIL);
    };
    app.get('/broken', fail);
    app.get('/broken-oauth', { config: { errors: 'oauth' } }, fail);
    app.get('/broken-late', () => Promise.reject(new Error(SECRET_DETAIL)));
    app.get('/broken-status', () =>
      Promise.reject(Object.assign(new Error(SECRET_DETAIL), { statusCode: 502 })),
    );
    app.get('/broken-thing', () => {
      // oxlint-disable-next-line typescript/only-throw-error -- whatever is thrown must not get out
      throw { message: SECRET_DETAIL };
    });
    app.get('/broken-sql', () => database.query({})`SELECT ${SECRET_DETAIL} FROM no_such_table`);
    app.get('/broken-data', () => database.query({})`SELECT ${SECRET_DETAIL}::uuid`);
    return { app, gatehouse, database };
  }

  it.each(['/broken', '/broken-late', '/broken-status', '/broken-thing', '/broken-sql', '/broken-data'])(
    '%s answers 500 and says nothing',
    async (url) => {
      const broken = await withBrokenRoutes();
      const response = await broken.app.inject({ url });
      expect(problemOf(response)).toEqual({ status: 500, error: 'server_error' });
      expect(response.json<{ detail: string }>().detail).toBe('Something went wrong on our side.');
      await broken.app.close();
    },
  );

  it('is written the way of OAuth where errors are', async () => {
    const broken = await withBrokenRoutes();
    expect(oauthErrorOf(await broken.app.inject({ url: '/broken-oauth' }))).toEqual({
      status: 500,
      error: 'server_error',
    });
    await broken.app.close();
  });
});

async function listen({ app }: Replica): Promise<{ address: string; port: number }> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return { address: `http://127.0.0.1:${port}`, port };
}
