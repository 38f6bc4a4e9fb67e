// 503: whoever asks for what only the database knows is told to come again, and never gets a guess.
import type { InjectOptions } from 'fastify';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { openDatabase } from '../../src/database/prisma.js';
import { createGatehouse } from '../../src/domain/gatehouse.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { ask, forge, MARKER, oauthErrorOf, problemOf } from '../support/answers.js';
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
  ['POST /password', () => ({ ...post('/password', PASSWORDS), headers: bearer(pair.access_token) })],
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

describe('without its database', () => {
  beforeAll(async () => {
    await open('ample');
    await house.database.clock.advance(500);
    await onServer(`DROP DATABASE ${new URL(house.database.url).pathname.slice(1)} WITH (FORCE)`);
  });
  afterAll(() => house.close());

  it.each(ASKING)('%s is unavailable', async (_what, request) => {
    expect(problemOf(await ask(replica, request()))).toEqual(UNAVAILABLE);
  });

  it.each(ASKING_AS_CLIENT)('%s is unavailable', async (_what, request) => {
    const response = await ask(replica, request());
    expect(oauthErrorOf(response)).toEqual(UNAVAILABLE);
    expect(response.body).not.toContain('active');
  });

  it.each(['/health', '/.well-known/oauth-authorization-server', '/openapi.json', '/docs'])(
    '%s is answered',
    async (url) => {
      expect((await ask(replica, { url })).statusCode).toBe(200);
    },
  );

  it('still tells what is wrong with a request', async () => {
    expect((await ask(replica, { method: 'POST', url: '/login', payload: {} })).statusCode).toBe(400);
    expect((await ask(replica, { method: 'POST', url: '/session' })).statusCode).toBe(401);
    expect((await ask(replica, { url: '/login' })).statusCode).toBe(405);
    expect((await ask(replica, { url: '/nowhere' })).statusCode).toBe(404);
  });
});

describe('while its database does not answer', () => {
  beforeAll(() => open('shipped'));
  afterAll(() => house.close());

  it('is unavailable everywhere, ends nothing, and recovers by itself', async () => {
    const lock = await holdTables(house.database, 'service', 'users', 'sessions');
    const asking = ASKING.map(async ([what, request]) => [what, problemOf(await ask(replica, request()))]);
    const asClient = ASKING_AS_CLIENT.map(async ([what, request]) => [
      what,
      oauthErrorOf(await ask(replica, request())),
    ]);
    for (const [what, refusal] of await Promise.all([...asking, ...asClient]))
      expect([what, refusal]).toEqual([what, UNAVAILABLE]);
    await lock.untilNobodyWaits();
    await lock.release();
    await expect
      .poll(async () => (await ask(replica, form('/introspect', pair.access_token))).json<unknown>())
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
    expect(problemOf(await ask(full, known))).toEqual(UNAVAILABLE);
    expect(problemOf(await ask(full, unknown))).toEqual(UNAVAILABLE);
    // Before it is read: what is wrong with it is not looked at.
    expect(problemOf(await ask(full, post('/login', { nonsense: MARKER })))).toEqual(UNAVAILABLE);
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual(
      Array(3).fill(
        expect.objectContaining({
          msg: 'answered',
          status: 503,
          reason: 'more logins than can be hashed in time',
        }),
      ),
    );
    expect((await ask(full, { url: '/session', headers: bearer(pair.access_token) })).statusCode).toBe(200);
    await app.close();
    await database.close();
  });
});
