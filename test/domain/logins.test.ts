// A replica whose secret no longer opens the signing keys: it reads, it ends, and it spends nothing.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { reencryptKeys } from '../../src/domain/keys/lifecycle.js';
import {
  AMPLE_MS,
  bearer,
  introspect,
  login,
  openHouse,
  refresh,
  SECRET,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';

const NEW_SECRET = 'another-secret-of-more-than-32-bytes-too';

let house: House;
let database: Database;
let locked: Replica;
let other: Replica;
let client: TestClient;
let user: TestUser;
let pair: TokenPair;

beforeEach(async () => {
  house = await openHouse();
  database = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
  await house.database.clock.freeze(1_800_000_000);
  locked = await house.replica();
  other = await house.replica({ secrets: [NEW_SECRET, SECRET] });
  client = await house.client();
  user = await house.user();
  pair = await login(locked, user);
  await reencryptKeys(database, NEW_SECRET, SECRET);
});
afterEach(async () => {
  await database.close();
  await house.close();
});

describe('a replica with the previous secret', () => {
  it('answers for a token near its end, without a successor that it could not sign', async () => {
    await house.database.clock.advance(500);
    const answer = await introspect(locked, client, pair.access_token);
    expect(answer.json()).toMatchObject({ active: true });
    expect(answer.headers).not.toHaveProperty('refreshed-api-token');
    expect((await introspect(other, client, pair.access_token)).headers).toHaveProperty(
      'refreshed-api-token',
    );
  });

  it('spends no refresh token, so that it is no theft when it comes back after the replay window', async () => {
    expect((await refresh(locked, pair.refresh_token)).statusCode).toBe(503);
    expect((await refresh(locked, pair.refresh_token)).statusCode).toBe(503);
    await house.database.clock.advance(31);
    expect((await refresh(other, pair.refresh_token)).statusCode).toBe(200);
  });

  it('opens no session that nobody could use, once it knows', async () => {
    await introspect(locked, client, pair.access_token);
    const payload = { username: user.username, password: user.password };
    const answer = await locked.app.inject({ method: 'POST', url: '/login', payload });
    expect(answer.statusCode).toBe(503);
    const { rows } = await house.database.admin.query('SELECT id FROM sessions');
    expect(rows).toEqual([{ id: pair.session_id }]);
  });

  it('ends sessions like any other', async () => {
    const headers = bearer(pair.access_token);
    expect((await locked.app.inject({ method: 'POST', url: '/logout', headers })).statusCode).toBe(204);
    expect((await introspect(other, client, pair.access_token)).body).toBe('{"active":false}');
  });

  it('signs again as soon as the keys are under its secret again', async () => {
    expect((await refresh(locked, pair.refresh_token)).statusCode).toBe(503);
    await reencryptKeys(database, SECRET, NEW_SECRET);
    expect((await refresh(locked, pair.refresh_token)).statusCode).toBe(200);
    await login(locked, user);
  });
});
