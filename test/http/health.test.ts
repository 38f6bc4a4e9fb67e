// /health and /ready: does the process live, and can it answer truthfully?
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { openDatabase } from '../../src/database/prisma.js';
import { reencryptKeys } from '../../src/domain/keys/lifecycle.js';
import { problemOf } from '../support/answers.js';
import { onServer } from '../support/database.js';
import {
  AMPLE_MS,
  DEFAULTS,
  introspect,
  login,
  openHouse,
  SECRET,
  type House,
  type Replica,
} from '../support/house.js';

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
afterAll(() => house.close());

it.each([
  ['/health', 'alive'],
  ['/ready', 'ready'],
])('%s answers 200 and nothing for caches', async (url, status) => {
  const response = await replica.app.inject({ url });
  expect(response.statusCode).toBe(200);
  expect(response.json()).toEqual({ status });
  expect(response.headers['cache-control']).toBe('no-store');
});

it('is not ready once it is told to leave, but alive', async () => {
  const { gatehouse } = replica;
  const app = await buildApp({
    gatehouse,
    config: DEFAULTS,
    logger: pino({ level: 'silent' }),
    isLeaving: () => true,
  });
  const leaving = { ...replica, app };
  expect(problemOf(await leaving.app.inject({ url: '/ready' }))).toEqual({
    status: 503,
    error: 'temporarily_unavailable',
  });
  expect((await leaving.app.inject({ url: '/health' })).statusCode).toBe(200);
  await app.close();
});

it('is not ready, and says why, when its secret no longer opens the keys', async () => {
  const other = await openHouse();
  const stale = await other.replica();
  const database = openDatabase(other.database.url, { connections: 1, deadlineMs: AMPLE_MS });
  await reencryptKeys(database, 'another-secret-for-tests-of-more-than-32-bytes', SECRET);
  await database.close();
  const response = await stale.app.inject({ url: '/ready' });
  expect(problemOf(response)).toEqual({ status: 503, error: 'temporarily_unavailable' });
  expect(response.json<{ detail: string }>().detail).toContain('AUTH_SECRET');
  expect((await stale.app.inject({ url: '/health' })).statusCode).toBe(200);
  await other.close();
});

it('is not ready, and says why, while the database is read-only, and needs no restart afterwards', async () => {
  const other = await openHouse();
  const one = await other.replica();
  const [user, client] = [await other.user(), await other.client()];
  const pair = await login(one, user);
  const name = new URL(other.database.url).pathname.slice(1);
  const payload = { username: user.username, password: user.password };
  const logIn = async () => (await one.app.inject({ method: 'POST', url: '/login', payload })).statusCode;
  const detail = async () => (await one.app.inject('/ready')).json<{ detail?: string }>().detail;
  await onServer(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  // As a provider does it: what is open already would go on writing.
  await onServer(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND application_name = 'gatehouse'`,
  );
  // The first may find no more than a connection that was ended.
  await expect
    .poll(async () => [await logIn(), await detail()])
    .toEqual([503, expect.stringContaining('The database is read-only')]);
  expect((await introspect(one, client, pair.access_token)).json()).toMatchObject({ active: true });
  await onServer(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
  await expect.poll(logIn).toBe(200);
  expect((await one.app.inject('/ready')).statusCode).toBe(200);
  await other.close();
});

it('is not ready, and says why, from the first write that finds the disk full until there is room', async () => {
  const { admin } = house.database;
  const user = await house.user();
  await admin.query(`CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$`);
  for (const table of ['sessions', 'login_attempts'])
    await admin.query(`CREATE TRIGGER full_disk BEFORE INSERT ON ${table} EXECUTE FUNCTION no_room()`);
  expect((await replica.app.inject({ url: '/ready' })).statusCode).toBe(200);
  const payload = { username: user.username, password: user.password };
  expect((await replica.app.inject({ method: 'POST', url: '/login', payload })).statusCode).toBe(503);
  for (let asked = 0; asked < 2; asked += 1) {
    const response = await replica.app.inject('/ready');
    expect(response.statusCode).toBe(503);
    expect(response.json<{ detail: string }>().detail).toContain('The disk of the database is full');
  }
  // Another trouble of the database is not told as a full disk.
  await admin.query(`CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'out of memory' USING ERRCODE = '53200'; END $$`);
  const troubled = await replica.app.inject('/ready');
  expect(troubled.statusCode).toBe(503);
  expect(troubled.body).not.toContain('disk');
  for (const table of ['sessions', 'login_attempts']) await admin.query(`DROP TRIGGER full_disk ON ${table}`);
  expect((await replica.app.inject({ url: '/ready' })).statusCode).toBe(200);
  expect((await replica.app.inject({ method: 'POST', url: '/login', payload })).statusCode).toBe(200);
});
