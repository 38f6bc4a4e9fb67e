// /health and /ready: does the process live, and can it answer truthfully?
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { openDatabase } from '../../src/database/prisma.js';
import { reencryptKeys } from '../../src/domain/keys/lifecycle.js';
import { ask, problemOf } from '../support/answers.js';
import { AMPLE_MS, DEFAULTS, openHouse, SECRET, type House, type Replica } from '../support/house.js';

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
  const response = await ask(replica, { url });
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
  expect(problemOf(await ask(leaving, { url: '/ready' }))).toEqual({
    status: 503,
    error: 'temporarily_unavailable',
  });
  expect((await ask(leaving, { url: '/health' })).statusCode).toBe(200);
  await app.close();
});

it('is not ready, and says why, when its secret no longer opens the keys', async () => {
  const other = await openHouse();
  const stale = await other.replica();
  const database = openDatabase(other.database.url, { connections: 1, deadlineMs: AMPLE_MS });
  await reencryptKeys(database, 'another-secret-for-tests-of-more-than-32-bytes', SECRET);
  await database.close();
  const response = await ask(stale, { url: '/ready' });
  expect(problemOf(response)).toEqual({ status: 503, error: 'temporarily_unavailable' });
  expect(response.json<{ detail: string }>().detail).toContain('AUTH_SECRET');
  expect((await ask(stale, { url: '/health' })).statusCode).toBe(200);
  await other.close();
});
