// What nothing invokes yet and every replica judges: versions of claims, a time before which every session is dead, and
// revocations that can be lifted. The rows are written here as a later release will write them.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import {
  bearer,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';

const INT8_MOST = 2n ** 63n - 1n;

let house: House;
let replica: Replica;
let other: Replica;
let user: TestUser;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  [replica, other] = [await house.replica(), await house.replica()];
});
beforeEach(async () => {
  user = await house.user({ scope: 'read' });
  pair = await login(replica, user);
});
afterAll(() => house.close());

async function run(sql: string, values: unknown[] = []): Promise<void> {
  await house.database.admin.query(sql, values);
}

async function introspect(token: string): Promise<Record<string, unknown>> {
  const client = await house.client();
  const payload = new URLSearchParams({ token, client_id: client.id, client_secret: client.secret });
  const response = await other.app.inject({
    method: 'POST',
    url: '/introspect',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: payload.toString(),
  });
  expect(response.statusCode).toBe(200);
  return response.json<Record<string, unknown>>();
}

function askSession(token: string) {
  return other.app.inject({ url: '/session', headers: bearer(token) });
}

async function isLive(token: string): Promise<boolean> {
  const { active } = await introspect(token);
  const { statusCode } = await askSession(token);
  expect(statusCode).toBe(active === true ? 200 : 401);
  return active === true;
}

async function renew(): Promise<TokenPair> {
  const response = await refresh(replica, pair.refresh_token);
  expect(response.statusCode).toBe(200);
  return response.json<TokenPair>();
}

function claimsOf(token: string): Record<string, unknown> {
  const [, body = ''] = token.split('.');
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
}

describe('a version of claims', () => {
  const raiseUser = () => run('UPDATE users SET ver = ver + 1 WHERE id = $1', [user.id]);
  const raiseSession = () => run('UPDATE sessions SET ver = ver + 1 WHERE id = $1', [pair.session_id]);

  it.each([
    ['the user', raiseUser],
    ['the session', raiseSession],
  ])(
    'that is raised for %s ends the access tokens on every replica, and not the session',
    async (_, raise) => {
      expect(claimsOf(pair.access_token)).not.toHaveProperty('ver');
      await raise();
      expect(await isLive(pair.access_token)).toBe(false);
      const renewed = await renew();
      expect(claimsOf(renewed.access_token)['ver']).toBe(1);
      expect(claimsOf(renewed.refresh_token)).not.toHaveProperty('ver');
      expect(await isLive(renewed.access_token)).toBe(true);
    },
  );

  it('is the sum of both, in the token and in the rows', async () => {
    await raiseUser();
    await raiseSession();
    await raiseSession();
    const renewed = await renew();
    expect(claimsOf(renewed.access_token)['ver']).toBe(3);
    expect(await isLive(renewed.access_token)).toBe(true);
    await run('UPDATE sessions SET ver = 1 WHERE id = $1', [pair.session_id]);
    expect(await isLive(renewed.access_token)).toBe(false);
  });

  it('is that of a new session of the user', async () => {
    await raiseUser();
    const { access_token } = await login(replica, user);
    expect(claimsOf(access_token)['ver']).toBe(1);
    expect(await isLive(access_token)).toBe(true);
  });

  it('is shown to nobody who asks', async () => {
    await raiseUser();
    const { access_token } = await renew();
    expect(await introspect(access_token)).toMatchObject({ active: true, scope: 'read', sub: user.id });
    expect(await introspect(access_token)).not.toHaveProperty('ver');
    expect((await askSession(access_token)).json()).not.toHaveProperty('ver');
  });

  it('does not keep a user from changing the password, and its token from being too old for that', async () => {
    await raiseUser();
    const { access_token } = await renew();
    const payload = { current_password: user.password, new_password: 'Quaint umbrella, sailing moss' };
    const change = (token: string) =>
      retryOn503(() =>
        replica.app.inject({ method: 'POST', url: '/password', headers: bearer(token), payload }),
      );
    expect((await change(pair.access_token)).statusCode).toBe(401);
    expect((await change(access_token)).statusCode).toBeLessThan(300);
  });

  it('near the most that there is fails nobody else', async () => {
    const second = await house.user();
    const { access_token } = await login(replica, second);
    await run('UPDATE users SET ver = $1 WHERE id = $2', [INT8_MOST, user.id]);
    await run('UPDATE sessions SET ver = $1 WHERE id = $2', [INT8_MOST, pair.session_id]);
    const [mine, theirs] = await Promise.all([isLive(pair.access_token), isLive(access_token)]);
    expect({ mine, theirs }).toEqual({ mine: false, theirs: true });
  });
});

describe('the time before which sessions are dead', () => {
  const setFloor = (expression: string) =>
    run(
      `UPDATE service SET sessions_not_before = (SELECT opened_at ${expression} FROM sessions WHERE id = $1)`,
      [pair.session_id],
    );
  const clear = () => run('UPDATE service SET sessions_not_before = NULL');

  it.each([
    ['before the opening', `- interval '1 ms'`, true],
    ['at the opening', '', true],
    ['after the opening', `+ interval '1 ms'`, false],
  ])('%s', async (_, expression, expected) => {
    await setFloor(expression);
    try {
      expect(await isLive(pair.access_token)).toBe(expected);
      expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(expected ? 200 : 401);
    } finally {
      await clear();
    }
  });

  it('lets a login in that comes after it, also while the clock is behind it', async () => {
    await run(`UPDATE service SET sessions_not_before = clock_timestamp() + interval '1 minute'`);
    try {
      expect(await isLive(pair.access_token)).toBe(false);
      const { access_token } = await login(replica, user);
      expect(await isLive(access_token)).toBe(true);
    } finally {
      await clear();
    }
  });
});

describe('a revocation that has an id of its own', () => {
  const lineage = () => String(claimsOf(pair.access_token)['jti']).split('.')[0] ?? '';
  const write = async (kind: 'token' | 'session', target: string): Promise<string> => {
    const id = randomUUID();
    await run(
      `INSERT INTO revocations (id, kind, target, ending_id, user_id, reason, actor, revoked_at, kept_until)
       VALUES ($1, $2, $3, gen_random_uuid(), $4, 'leak', 'client:admin', clock_timestamp(),
               clock_timestamp() + interval '1 day')`,
      [id, kind, target, user.id],
    );
    return id;
  };
  const lift = (id: string) =>
    run('UPDATE revocations SET lifted_at = clock_timestamp() WHERE id = $1', [id]);

  it('ends the session that it names, until it is lifted', async () => {
    const id = await write('session', pair.session_id);
    expect(await isLive(pair.access_token)).toBe(false);
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
    await lift(id);
    expect(await isLive(pair.access_token)).toBe(true);
    await renew();
  });

  it('ends the lineage that it names, and not the session', async () => {
    const id = await write('token', lineage());
    expect(await isLive(pair.access_token)).toBe(false);
    const renewed = await renew();
    expect(await isLive(renewed.access_token)).toBe(true);
    await lift(id);
    expect(await isLive(pair.access_token)).toBe(true);
  });

  it('ends nothing by its own id', async () => {
    const sid = pair.session_id;
    await run(
      `INSERT INTO revocations (id, kind, target, user_id, reason, actor, revoked_at, kept_until)
       VALUES ($1, 'session', gen_random_uuid(), $2, 'leak', 'x', clock_timestamp(), clock_timestamp())`,
      [sid, user.id],
    );
    expect(await isLive(pair.access_token)).toBe(true);
  });

  it('stands beside others of one target: all of them have to be lifted', async () => {
    const ids = [await write('session', pair.session_id), await write('session', pair.session_id)];
    for (const id of ids) {
      expect(await isLive(pair.access_token)).toBe(false);
      await lift(id);
    }
    expect(await isLive(pair.access_token)).toBe(true);
  });

  it('brings nothing back that its holder has ended', async () => {
    const id = await write('session', pair.session_id);
    const payload = { refresh_token: pair.refresh_token };
    expect((await replica.app.inject({ method: 'POST', url: '/logout', payload })).statusCode).toBe(204);
    await lift(id);
    expect(await isLive(pair.access_token)).toBe(false);
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
  });
});
