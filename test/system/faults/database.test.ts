// A database that swallows everything, is no primary, or is busy: 503 in time, never an answer that could be wrong.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createBlackHole, type BlackHole } from '../../support/black-hole.js';
import { replaceBuiltIn } from '../../support/database.js';
import {
  basic,
  bearer,
  login,
  refresh,
  type Replica,
  type TokenPair,
  type TestUser,
} from '../../support/house.js';
import { holdSession } from '../../support/row-lock.js';
import { logOut, openTwins, stateOf, stateOfRefresh, type Twins } from '../../support/twins.js';

/** The deadlines, and what a busy machine may add. A connection that is given up takes longer. */
const ANSWER_WITHIN_MS = 2500 + 5500;

let twins: Twins;
let user: TestUser;

beforeAll(async () => {
  twins = await openTwins({}, { deadlines: 'shipped' });
  user = await twins.house.user();
});
afterAll(() => twins.house.close());

interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  url: string;
  headers?: Record<string, string>;
  payload?: object | string;
}

/** Every endpoint that asks the database. */
function callsWith(pair: TokenPair): Call[] {
  const form = { ...basic(twins.client), 'content-type': 'application/x-www-form-urlencoded' };
  const { access_token: access, refresh_token } = pair;
  return [
    { method: 'POST', url: '/login', payload: { username: user.username, password: user.password } },
    { method: 'POST', url: '/login', payload: { username: 'nobody', password: 'nothing' } },
    { method: 'POST', url: '/refresh', payload: { refresh_token } },
    { method: 'POST', url: '/refresh', payload: { refresh_token: 'garbage' } },
    { method: 'POST', url: '/logout', payload: { refresh_token } },
    { method: 'POST', url: '/logout', headers: bearer(access) },
    { method: 'POST', url: '/logout-all', headers: bearer(access) },
    { method: 'GET', url: '/session', headers: bearer(access) },
    { method: 'GET', url: '/session', headers: bearer('garbage') },
    { method: 'GET', url: '/sessions', headers: bearer(access) },
    { method: 'DELETE', url: `/sessions/${pair.session_id}`, headers: bearer(access) },
    { method: 'POST', url: '/introspect', headers: form, payload: `token=${access}` },
    { method: 'POST', url: '/introspect', headers: form, payload: 'token=garbage' },
    { method: 'POST', url: '/revoke', headers: form, payload: `token=${access}` },
    { method: 'POST', url: '/revoke', headers: form, payload: `token=${refresh_token}` },
    { method: 'GET', url: '/.well-known/jwks.json' },
    { method: 'GET', url: '/ready' },
  ];
}

interface Outcome {
  call: string;
  status: number;
  error: string;
  hasRetryAfter: boolean;
  isInTime: boolean;
}

function callAll({ app }: Replica, calls: Call[]): Promise<Outcome[]> {
  return Promise.all(
    calls.map(async (call) => {
      const startedAt = performance.now();
      const response = await app.inject(call);
      return {
        call: `${call.method} ${call.url}`,
        status: response.statusCode,
        error: response.json<{ error: string }>().error,
        hasRetryAfter: Number(response.headers['retry-after']) >= 1,
        isInTime: performance.now() - startedAt < ANSWER_WITHIN_MS,
      };
    }),
  );
}

function unavailable(calls: Call[]): Outcome[] {
  return calls.map(({ method, url }) => ({
    call: `${method} ${url}`,
    status: 503,
    error: 'temporarily_unavailable',
    hasRetryAfter: true,
    isInTime: true,
  }));
}

describe('a database that swallows everything', () => {
  let hole: BlackHole;
  let replica: Replica;

  beforeAll(async () => {
    hole = await createBlackHole(twins.house.database.url);
    replica = await twins.house.replica({ url: hole.url });
  });
  afterAll(() => hole.remove());

  it('makes every endpoint that asks it say 503 in time, on old connections and on new ones', async () => {
    const pair = await login(replica, user);
    const calls = callsWith(pair);
    hole.open();
    const [onOld, onNew] = [await callAll(replica, calls), await callAll(replica, calls)];
    const health = await replica.app.inject({ url: '/health' });
    const document = await replica.app.inject({ url: '/.well-known/oauth-authorization-server' });
    hole.close();

    expect(onOld).toEqual(unavailable(calls));
    expect(onNew).toEqual(unavailable(calls));
    expect([health.statusCode, document.statusCode]).toEqual([200, 200]);
  });

  it('lets the replica answer again as soon as it is back', async () => {
    // Of somebody else: what was swallowed before may come through late, a logout from everywhere among it.
    const pair = await login(replica, await twins.house.user());
    hole.open();
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(503);
    hole.close();
    await expect.poll(async () => (await refresh(replica, pair.refresh_token)).statusCode).toBe(200);
    await expect.poll(() => stateOf(twins, pair.access_token)).toBe('alive');
  });
});

it('answers a logout that waits too long with 503, not with 204', async () => {
  const pair = await login(twins.one, user);
  const lock = await holdSession(twins.house.database, pair.session_id);
  const [logout, rotation] = await Promise.all([
    logOut(twins.one, pair.access_token),
    refresh(twins.two, pair.refresh_token),
  ]);
  expect([logout.statusCode, rotation.statusCode]).toEqual([503, 503]);
  // PostgreSQL gives up on both by itself: nothing happens behind the caller's back.
  await lock.untilNobodyWaits();
  await lock.release();
  await expect.poll(() => stateOf(twins, pair.access_token)).toBe('alive');
  await expect.poll(() => stateOfRefresh(twins, pair.refresh_token)).toBe('alive');
});

it('trusts no standby, which may lag behind what was ended', async () => {
  const own = await openTwins();
  try {
    const pair = await login(own.one, await own.house.user());
    const { admin } = own.house.database;
    const putBack = await replaceBuiltIn(
      (sql) => admin.query(sql),
      'pg_is_in_recovery()',
      `RETURNS boolean LANGUAGE sql AS 'SELECT true'`,
    );
    // As in a failover: connections end, and the new ones reach a server that is no primary.
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'gatehouse'`,
    );
    const calls = callsWith(pair);
    expect(await callAll(own.one, calls)).toEqual(unavailable(calls));

    await putBack();
    expect(await stateOf(own, pair.access_token)).toBe('alive');
  } finally {
    await own.house.close();
  }
});

it('answers 503 when connections break under its hands, and works on new ones', async () => {
  // With deadlines that are far away: a 503 is due to the connection.
  const { house, one } = await openTwins();
  try {
    const pair = await login(one, await house.user());
    const lock = await holdSession(house.database, pair.session_id);
    const waiting = refresh(one, pair.refresh_token);
    await lock.queue(1);
    await house.database.admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'gatehouse'`,
    );
    expect((await waiting).statusCode).toBe(503);
    await lock.release();
    // A call may still meet a connection of whose end the pool has not heard yet.
    await expect.poll(async () => (await refresh(one, pair.refresh_token)).statusCode).toBe(200);
  } finally {
    await house.close();
  }
});
