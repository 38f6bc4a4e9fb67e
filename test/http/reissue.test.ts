// Refreshed-API-Token: which answers carry a successor, which never do, and what the successor is worth.
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { changePassword, disableUser } from '../../src/domain/users/users.js';
import { forge, problemOf } from '../support/answers.js';
import {
  AMPLE_MS,
  basic,
  bearer,
  claimsOf,
  introspect,
  login,
  openHouse,
  postForm,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';

const NOON = 1_900_000_000;
const HEADER = 'refreshed-api-token';

/** Of a token of 600 s: its window opens, it expires, its grace is over. */
const WINDOW = 480;
const EXP = 600;
const GRACE_END = 660;

let house: House;
let replica: Replica;
let database: Database;
let client: TestClient;
let user: TestUser;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({ config: { corsOrigins: ['https://app.example.com'] } });
  database = openDatabase(house.database.url, { connections: 2, deadlineMs: AMPLE_MS });
  client = await house.client();
});
beforeEach(async () => {
  await at(0);
  user = await house.user({ scope: 'read' });
  pair = await login(replica, user);
});
afterAll(async () => {
  await database.close();
  await house.close();
});

async function at(seconds: number): Promise<void> {
  await house.database.clock.freeze(NOON + seconds);
}

type Asking = (token: string, from?: Replica) => Promise<LightMyRequestResponse>;

function asUser(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string | (() => string)): Asking {
  return (token, from = replica) =>
    from.app.inject({ method, url: typeof url === 'string' ? url : url(), headers: bearer(token) });
}

function asClient(url: string): Asking {
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  return (token, from = replica) =>
    from.app.inject({
      method: 'POST',
      url,
      headers: { ...basic(client), ...type },
      payload: `token=${token}`,
    });
}

const CARRIERS: [what: string, asking: Asking][] = [
  ['GET /session', asUser('GET', '/session')],
  ['PATCH /session', asUser('PATCH', '/session')],
  ['POST /session/below', asUser('POST', '/session/below')],
  ['GET /sessions', asUser('GET', '/sessions')],
  ['POST /introspect', asClient('/introspect')],
];

const withBearer = (url: string, payload: () => object): Asking => {
  return (token) =>
    replica.app.inject({
      method: 'POST',
      url,
      headers: bearer(token),
      payload: payload(),
    } satisfies InjectOptions);
};

const OTHERS: [what: string, asking: Asking][] = [
  ['POST /login', withBearer('/login', () => ({ username: user.username, password: user.password }))],
  ['POST /refresh', withBearer('/refresh', () => ({ refresh_token: pair.refresh_token }))],
  ['POST /logout', asUser('POST', '/logout')],
  ['POST /logout-all', asUser('POST', '/logout-all')],
  ['POST /revoke', asClient('/revoke')],
  ['DELETE /sessions/:id', asUser('DELETE', () => `/sessions/${pair.session_id}`)],
  ['GET /sessions with a wrong method', asUser('POST', '/sessions')],
  ['an unknown URL', asUser('GET', '/nowhere')],
  ['GET /health', asUser('GET', '/health')],
];

async function successorOf(token: string, seconds: number): Promise<string> {
  await at(seconds);
  return String((await introspect(replica, client, token)).headers[HEADER]);
}

describe.each(CARRIERS)('%s', (what, asking) => {
  const isIntrospection = what === 'POST /introspect';

  it('carries nothing before the window', async () => {
    await at(WINDOW - 1);
    expect((await asking(pair.access_token)).headers).not.toHaveProperty(HEADER);
  });

  it.each([WINDOW, EXP - 1])('carries the successor at %i s, as a private answer', async (seconds) => {
    await at(seconds);
    const response = await asking(pair.access_token);
    expect(response.statusCode).toBe(200);
    const claims = claimsOf(pair.access_token);
    expect(claimsOf(String(response.headers[HEADER]))).toEqual({
      ...claims,
      jti: claims.jti.replace('.0', '.1'),
      iat: NOON + WINDOW,
      exp: NOON + WINDOW + 600,
    });
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.headers.vary).toMatch(/\bAuthorization\b/);
    // The answer itself is about the token that was sent.
    expect(response.body).not.toContain(`${claims.jti.slice(0, -2)}.1`);
  });

  it.each([EXP, GRACE_END - 1])(
    'carries nothing but the successor in the grace, at %i s',
    async (seconds) => {
      await at(seconds);
      const response = await asking(pair.access_token);
      expect(claimsOf(String(response.headers[HEADER])).jti).toMatch(/\.1$/);
      expect(response.headers.vary).toMatch(/\bAuthorization\b/);
      if (isIntrospection) expect(response.body).toBe('{"active":false}');
      else expect(problemOf(response)).toMatchObject({ status: 401, error: 'invalid_token' });
    },
  );

  it('carries nothing after the grace', async () => {
    await at(GRACE_END);
    expect((await asking(pair.access_token)).headers).not.toHaveProperty(HEADER);
  });

  it.each([WINDOW, EXP])('carries nothing for a token that was ended, at %i s', async (seconds) => {
    const ends: (() => Promise<unknown>)[] = [
      () => postForm(replica, '/revoke', client, { token: pair.access_token }),
      () => asUser('POST', '/logout')(pair.access_token),
      () => postForm(replica, '/revoke', client, { token: pair.refresh_token }),
      () => asUser('POST', '/logout-all')(pair.access_token),
      () => changePassword(database, user.username, 'irrelevant'),
      () => disableUser(database, user.username),
    ];
    for (const end of ends) {
      await at(0);
      user = await house.user();
      pair = await login(replica, user);
      await end();
      await at(seconds);
      expect((await asking(pair.access_token)).headers).not.toHaveProperty(HEADER);
    }
  });

  it('carries nothing for a refresh token or a forged one', async () => {
    await at(WINDOW);
    expect((await asking(pair.refresh_token)).headers).not.toHaveProperty(HEADER);
    expect((await asking(forge(pair.access_token))).headers).not.toHaveProperty(HEADER);
    await at(14 * 86_400 - 1);
    expect((await asking(pair.refresh_token)).headers).not.toHaveProperty(HEADER);
  });

  it('takes a successor for what it is: a live token', async () => {
    const successor = await successorOf(pair.access_token, WINDOW);
    await at(EXP + 100);
    const response = await asking(successor, await house.replica());
    expect(response.statusCode).toBe(200);
    expect(response.body).not.toBe('{"active":false}');
    expect(response.headers).not.toHaveProperty(HEADER);
  });
});

it.each(OTHERS)('%s carries nothing in the window nor in the grace', async (_what, asking) => {
  for (const seconds of [WINDOW, EXP]) {
    await at(0);
    user = await house.user();
    pair = await login(replica, user);
    await at(seconds);
    expect((await asking(pair.access_token)).headers).not.toHaveProperty(HEADER);
  }
});

it('an answer that fails after the door carries nothing', async () => {
  await at(WINDOW);
  await database.query({})`ALTER TABLE sessions RENAME COLUMN user_agent TO agent`;
  const response = await asUser('GET', '/sessions')(pair.access_token);
  await database.query({})`ALTER TABLE sessions RENAME COLUMN agent TO user_agent`;
  expect(problemOf(response)).toEqual({ status: 500, error: 'server_error' });
});

it('a refusal of the client carries nothing', async () => {
  await at(WINDOW);
  const wrong = await postForm(
    replica,
    '/introspect',
    { ...client, secret: 'wrong' },
    { token: pair.access_token },
  );
  expect([wrong.statusCode, HEADER in wrong.headers]).toEqual([401, false]);
  const revoker = await house.client(['revoke']);
  const unable = await postForm(replica, '/introspect', revoker, { token: pair.access_token });
  expect([unable.statusCode, HEADER in unable.headers]).toEqual([403, false]);
});

it('pages of allowed origins may read it', async () => {
  await at(WINDOW);
  const response = await replica.app.inject({
    url: '/session',
    headers: { ...bearer(pair.access_token), origin: 'https://app.example.com' },
  });
  expect(response.headers).toHaveProperty(HEADER);
  expect(response.headers['access-control-expose-headers']).toMatch(/\bRefreshed-API-Token\b/);
  expect(response.headers.vary).toBe('Origin, Authorization');
});

describe('a successor', () => {
  async function isActive(token: string): Promise<boolean> {
    return (await introspect(replica, client, token)).json<{ active: boolean }>().active;
  }

  it('dies with its parent, and its parent with it', async () => {
    const successor = await successorOf(pair.access_token, WINDOW);
    await postForm(replica, '/revoke', client, { token: pair.access_token });
    expect(await isActive(successor)).toBe(false);
    await at(0);
    const other = await login(replica, user);
    const next = await successorOf(other.access_token, WINDOW);
    await postForm(replica, '/revoke', client, { token: next });
    expect([await isActive(next), await isActive(other.access_token)]).toEqual([false, false]);
  });

  it('dies with its session, whichever token ends that', async () => {
    for (const token of ['access_token', 'refresh_token'] as const) {
      await at(0);
      pair = await login(replica, user);
      const successor = await successorOf(pair.access_token, WINDOW);
      expect(await isActive(successor)).toBe(true);
      if (token === 'access_token') await asUser('POST', '/logout')(pair.access_token);
      else await postForm(replica, '/revoke', client, { token: pair.refresh_token });
      expect(await isActive(successor)).toBe(false);
    }
  });

  it('may log its session out', async () => {
    const successor = await successorOf(pair.access_token, WINDOW);
    expect((await asUser('POST', '/logout')(successor)).statusCode).toBe(204);
    expect(await isActive(successor)).toBe(false);
  });

  it('has a successor of its own, up to the end of the session', async () => {
    const short = await house.replica({ config: { sessionTtlSeconds: 1500, refreshTtlSeconds: 1500 } });
    let token = (await login(short, user)).access_token;
    const expiries: number[] = [];
    for (let seconds = 0; seconds < 1500; seconds += 10) {
      await at(seconds);
      const next = (await introspect(short, client, token)).headers[HEADER];
      if (next === undefined) continue;
      token = String(next);
      expiries.push(claimsOf(token).exp - NOON);
    }
    expect(expiries).toEqual([1080, 1500]);
  });

  it('is the same for 200 parallel requests at two replicas, and nothing is written', async () => {
    const replicas = [replica, await house.replica()];
    await at(WINDOW);
    const before = await everyRow();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => {
        const asking = index % 3 === 0 ? asUser('GET', '/session') : asClient('/introspect');
        return asking(pair.access_token, replicas[index % 2]);
      }),
    );
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array(200).fill(200));
    const claims = new Set(answers.map(({ headers }) => JSON.stringify(claimsOf(String(headers[HEADER])))));
    expect([...claims]).toHaveLength(1);
    expect(await everyRow()).toEqual(before);
  });

  /** Every row of every table with the transaction that wrote it last. */
  async function everyRow(): Promise<unknown[]> {
    const { admin } = house.database;
    const tables = await admin.query<{ name: string }>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`,
    );
    expect(tables.rows.length).toBeGreaterThan(5);
    const rows = await Promise.all(
      tables.rows.map(({ name }) =>
        admin.query(`SELECT '${name}' AS name, ctid::text, xmin::text FROM ${name} ORDER BY ctid`),
      ),
    );
    return rows.flatMap((result) => result.rows as unknown[]);
  }
});
