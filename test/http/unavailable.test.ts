// 503: whoever asks for what only the database knows is told to come again, and never gets a guess.
import type { AddressInfo } from 'node:net';
import type { InjectOptions } from 'fastify';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { buildApp } from '../../src/app.js';
import { openDatabase } from '../../src/database/prisma.js';
import { createGatehouse, type Gatehouse } from '../../src/domain/gatehouse.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { forge, MARKER, oauthErrorOf, problemOf } from '../support/answers.js';
import { ACCESS, REFRESH, SAME_ORIGIN } from '../support/browser.js';
import { onServer } from '../support/database.js';
import {
  AMPLE_MS,
  basic,
  bearer,
  DEFAULTS,
  login,
  openHouse,
  SECRET,
  type House,
  type HouseOptions,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { connectRaw, readAnswers } from '../support/raw-socket.js';
import { holdTables } from '../support/row-lock.js';

type Asking = InjectOptions & { url: string };

const UNAVAILABLE = { status: 503, error: 'temporarily_unavailable' };

let house: House;
let replica: Replica;
let user: TestUser;
let pair: TokenPair;
let client: TestClient;

async function open(deadlines: NonNullable<HouseOptions['deadlines']>): Promise<void> {
  house = await openHouse({ deadlines });
  replica = await house.replica();
  user = await house.user();
  pair = await login(replica, user);
  client = await house.client();
}

/** Every way to ask what the database alone knows; the token is near its end, so that a successor would be due. */
const ASKING: [what: string, request: () => Asking][] = [
  ['POST /login', () => post('/login', { username: user.username, password: user.password })],
  ['POST /login of nobody', () => post('/login', { username: MARKER, password: MARKER })],
  ['POST /refresh', () => post('/refresh', { refresh_token: pair.refresh_token })],
  ['POST /refresh of a forged token', () => post('/refresh', { refresh_token: forge(pair.refresh_token) })],
  ['POST /logout', () => ({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) })],
  ['POST /logout of a refresh token', () => post('/logout', { refresh_token: pair.refresh_token })],
  ['POST /logout of a forged token', () => post('/logout', { refresh_token: forge(pair.refresh_token) })],
  ['POST /logout-all', () => ({ method: 'POST', url: '/logout-all', headers: bearer(pair.access_token) })],
  ['GET /session', () => ({ url: '/session', headers: bearer(pair.access_token) })],
  ['GET /session of a forged token', () => ({ url: '/session', headers: bearer(forge(pair.access_token)) })],
  ['PUT /session/x', () => ({ method: 'PUT', url: '/session/x', headers: bearer(pair.access_token) })],
  ['GET /sessions', () => ({ url: '/sessions', headers: bearer(pair.access_token) })],
  [
    'DELETE /sessions/:id',
    () => ({ method: 'DELETE', url: `/sessions/${pair.session_id}`, headers: bearer(pair.access_token) }),
  ],
  ['POST /password/reset', () => post('/password/reset', { code: 'x', new_password: 'y' })],
  ['POST /password', () => ({ ...post('/password', PASSWORDS), headers: bearer(pair.access_token) })],
  ['POST /introspect/batch', () => batch([pair.access_token, MARKER])],
  ['POST /introspect/batch of no token', () => batch([MARKER])],
  [
    'POST /introspect/batch with a wrong secret',
    () => batch([pair.access_token], { ...client, secret: MARKER }),
  ],
  ['GET /session by cookie', () => byCookie('GET', '/session')],
  ['POST /refresh by cookie', () => byCookie('POST', '/refresh')],
  ['POST /logout by cookie', () => byCookie('POST', '/logout')],
  ['POST /logout-all by cookie', () => byCookie('POST', '/logout-all')],
  ['GET /.well-known/jwks.json', () => ({ url: '/.well-known/jwks.json' })],
  ['GET /ready', () => ({ url: '/ready' })],
];

const ASKING_AS_CLIENT: [what: string, request: () => Asking][] = [
  ['POST /introspect', () => form('/introspect', pair.access_token)],
  ['POST /introspect of a refresh token', () => form('/introspect', pair.refresh_token)],
  ['POST /introspect of no token', () => form('/introspect', MARKER)],
  ['POST /introspect with a wrong secret', () => form('/introspect', MARKER, { ...client, secret: MARKER })],
  ['POST /revoke', () => form('/revoke', pair.access_token)],
  ['POST /revoke of a refresh token', () => form('/revoke', pair.refresh_token)],
  ['POST /revoke of no token', () => form('/revoke', MARKER)],
];

const PASSWORDS = { current_password: MARKER, new_password: MARKER };

function byCookie(method: 'GET' | 'POST', url: string): Asking {
  const cookie = `${ACCESS}=${pair.access_token}; ${REFRESH}=${pair.refresh_token}`;
  return { method, url, headers: { ...SAME_ORIGIN, cookie } };
}

function post(url: string, payload: object): Asking {
  return { method: 'POST', url, payload };
}

function form(url: string, token: string, as: TestClient = client): Asking {
  const headers = { ...basic(as), 'content-type': 'application/x-www-form-urlencoded' };
  return { method: 'POST', url, headers, payload: `token=${token}` };
}

function batch(tokens: string[], as: TestClient = client): Asking {
  return { ...post('/introspect/batch', { tokens }), headers: basic(as) };
}

describe('without its database', () => {
  beforeAll(async () => {
    await open('ample');
    await house.database.clock.advance(500);
    await onServer(`DROP DATABASE ${new URL(house.database.url).pathname.slice(1)} WITH (FORCE)`);
  });
  afterAll(() => house.close());

  it.each(ASKING)('%s is unavailable', async (_what, request) => {
    expect(problemOf(await replica.app.inject(request()))).toEqual(UNAVAILABLE);
  });

  it.each(ASKING_AS_CLIENT)('%s is unavailable', async (_what, request) => {
    const response = await replica.app.inject(request());
    expect(oauthErrorOf(response)).toEqual(UNAVAILABLE);
    expect(response.body).not.toContain('active');
  });

  it.each(['/health', '/.well-known/oauth-authorization-server', '/openapi.json', '/docs'])(
    '%s is answered',
    async (url) => {
      expect((await replica.app.inject({ url })).statusCode).toBe(200);
    },
  );

  it('still tells what is wrong with a request', async () => {
    expect((await replica.app.inject({ method: 'POST', url: '/login', payload: {} })).statusCode).toBe(400);
    expect((await replica.app.inject({ method: 'POST', url: '/session' })).statusCode).toBe(401);
    expect((await replica.app.inject({ url: '/login' })).statusCode).toBe(405);
    expect((await replica.app.inject({ url: '/nowhere' })).statusCode).toBe(404);
  });
});

describe('before the end of a body is there', () => {
  beforeAll(() => open('ample'));
  afterAll(() => house.close());

  /** A request as it is written, but for the last byte of its body. */
  function writeAlmost({ method, url, headers = {}, payload = {} }: Asking): string {
    const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
    const all = { host: 'gatehouse.test', 'content-type': 'application/json', ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${String(value)}\r\n`);
    return `${String(method)} ${url} HTTP/1.1\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n${body.slice(0, -1)}`;
  }

  it('each question is bounded by the deadline', async () => {
    const asked: string[] = [];
    const hanging = (name: string) => () => {
      asked.push(name);
      return new Promise<never>(() => undefined);
    };
    const isSync = (name: string) => ['assertFree', 'findKnownClient', 'findSuccessor'].includes(name);
    const verbs = Object.entries<unknown>(replica.gatehouse as never).map(
      ([name, verb]): [string, unknown] => [
        name,
        typeof verb !== 'function' || isSync(name) ? verb : hanging(name),
      ],
    );
    const app = await buildApp({
      gatehouse: Object.fromEntries(verbs) as unknown as Gatehouse,
      config: DEFAULTS,
      logger: pino({ level: 'silent' }),
      answerDeadlineMs: 500,
    });
    onTestFinished(() => app.close());
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const requests = [...ASKING, ...ASKING_AS_CLIENT]
      .map(([what, request]) => [what, request()] as const)
      .filter(([, { method }]) => method !== undefined);
    const answers = await Promise.all(
      requests.map(async ([what, request]) => {
        const { received, closed } = connectRaw(port, writeAlmost(request));
        await closed;
        return [what, ...readAnswers(received()).map(({ status }) => status)];
      }),
    );
    const given = answers.filter(([, status]) => status === 503);
    expect(given).toContainEqual(['POST /introspect/batch with a wrong secret', 503]);
    // Where nothing is asked, the rest of the body is waited for.
    const others = requests.length - given.length;
    expect(answers.filter(([, status]) => status === 408)).toHaveLength(others);
    expect(asked).toHaveLength(given.length);
  });
});

describe('while its database does not answer', () => {
  beforeAll(() => open('shipped'));
  afterAll(() => house.close());

  it('is unavailable everywhere, ends nothing, and recovers by itself', async () => {
    const lock = await holdTables(house.database, 'service', 'users', 'sessions');
    const asking = ASKING.map(async ([what, request]) => [
      what,
      problemOf(await replica.app.inject(request())),
    ]);
    const asClient = ASKING_AS_CLIENT.map(async ([what, request]) => [
      what,
      oauthErrorOf(await replica.app.inject(request())),
    ]);
    for (const [what, refusal] of await Promise.all([...asking, ...asClient]))
      expect([what, refusal]).toEqual([what, UNAVAILABLE]);
    await lock.untilNobodyWaits();
    await lock.release();
    await expect
      .poll(async () => (await replica.app.inject(form('/introspect', pair.access_token))).json<unknown>())
      .toMatchObject({ active: true });
  });
});

describe('without room to hash', () => {
  beforeAll(() => open('ample'));
  afterAll(() => house.close());

  it('POST /login is unavailable, for known and unknown names alike', async () => {
    const database = openDatabase(house.database.url, { connections: 2, deadlineMs: AMPLE_MS });
    const gatehouse = await createGatehouse({
      database,
      hasher: createPasswordHasher({ maxConcurrent: 0 }),
      createCodec: createTokenCodec,
      rules: DEFAULTS,
      jwtAlgorithm: 'EdDSA',
      secrets: [SECRET],
    });
    const lines: string[] = [];
    const logger = pino({ level: 'info' }, { write: (line) => lines.push(line) });
    const app = await buildApp({ gatehouse, config: DEFAULTS, logger, answerDeadlineMs: AMPLE_MS });
    const full = { app, gatehouse, database };
    const known = post('/login', { username: user.username, password: user.password });
    const unknown = post('/login', { username: MARKER, password: MARKER });
    expect(problemOf(await full.app.inject(known))).toEqual(UNAVAILABLE);
    expect(problemOf(await full.app.inject(unknown))).toEqual(UNAVAILABLE);
    // Before it is read: what is wrong with it is not looked at.
    expect(problemOf(await full.app.inject(post('/login', { nonsense: MARKER })))).toEqual(UNAVAILABLE);
    const [first, ...answered] = lines.map((line) => JSON.parse(line) as object);
    expect(first).toMatchObject({ level: 40, msg: 'requests are answered 503', missing: 'hashing' });
    expect(answered).toEqual(
      Array(3).fill(
        expect.objectContaining({
          msg: 'answered',
          status: 503,
          reason: 'more logins than can be hashed in time',
        }),
      ),
    );
    expect((await full.app.inject({ url: '/session', headers: bearer(pair.access_token) })).statusCode).toBe(
      200,
    );
    await app.close();
    await database.close();
  });
});
