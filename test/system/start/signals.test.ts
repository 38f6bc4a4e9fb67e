// A service that is told to go: load balancers learn of it, requests in flight are answered, and it ends with status 0.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

import { openHouse, type House, type TokenPair } from '../../support/house.js';
import { holdSession } from '../../support/row-lock.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, createWorkshop, environmentFor, type Service } from '../../support/service.js';

/** What must come within a second or two of something else, in another process: the machine may be slower than that, seldom twice. */
const AGAIN = { retry: 2 };

const workshop = createWorkshop();
let house: House;

beforeAll(async () => {
  house = await openHouse();
});
afterEach(() => workshop.clear());
afterAll(() => house.close());

async function logIn(service: Service): Promise<TokenPair> {
  const { username, password } = await house.user();
  const answer = await retryOn503(() => ask(service, 'POST', '/login', { body: { username, password } }));
  return answer.json<TokenPair>();
}

/** A request that the service cannot answer before the lock is released. */
async function holdRefresh(service: Service, { session_id, refresh_token }: TokenPair) {
  const lock = await holdSession(house.database, session_id);
  const inFlight = ask(service, 'POST', '/refresh', { body: { refresh_token } });
  // Its test waits for it later. Where the service was gone first, that is what the test says.
  inFlight.catch(() => undefined);
  await lock.queue(1);
  return { lock, inFlight };
}

/** Waits until the service takes no more connections. */
async function untilClosed({ url }: Service): Promise<void> {
  for (;;) {
    const response = await fetch(`${url}/health`).catch(() => null);
    if (response === null) return;
    await response.arrayBuffer();
    await sleep(10);
  }
}

it.each(['SIGTERM', 'SIGHUP'] as const)(
  'turns /ready to 503 at %s, goes on answering for a while, and finishes what is in flight',
  AGAIN,
  async (signal) => {
    const service = await workshop.start(environmentFor(house.database.url));
    const pair = await logIn(service);
    const exited = service.stop(signal);
    await expect.poll(async () => (await ask(service, 'GET', '/ready')).status, { interval: 10 }).toBe(503);

    const ready = await ask(service, 'GET', '/ready');
    expect(ready.json()).toMatchObject({ error: 'temporarily_unavailable' });
    expect(ready.headers.get('retry-after')).toMatch(/^[1-9]/);
    expect(ready.headers.get('connection')).toBe('close');
    expect((await ask(service, 'GET', '/health')).status).toBe(200);
    const { lock, inFlight } = await holdRefresh(service, pair);
    await untilClosed(service);
    expect(service.process.exitCode).toBeNull();
    await lock.release();

    expect((await inFlight).status).toBe(200);
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(service.output.stderr).toBe('');
  },
);

it.each(['SIGINT', 'SIGQUIT'] as const)(
  'goes at once at %s, but not before it has answered',
  AGAIN,
  async (signal) => {
    const service = await workshop.start(environmentFor(house.database.url));
    const pair = await logIn(service);
    const { lock, inFlight } = await holdRefresh(service, pair);
    const exited = service.stop(signal);
    await untilClosed(service);
    await lock.release();

    expect((await inFlight).status).toBe(200);
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(service.output.stderr).toBe('');
  },
);

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('takes %s twice at once for one', AGAIN, async (signal) => {
  const service = await workshop.start(environmentFor(house.database.url));
  const pair = await logIn(service);
  const { lock, inFlight } = await holdRefresh(service, pair);
  const exited = service.stop(signal);
  for (let turn = 0; turn < 3; turn += 1) {
    await sleep(20);
    service.process.kill(signal);
  }
  await untilClosed(service);
  await lock.release();

  expect((await inFlight).status).toBe(200);
  expect(await exited).toEqual({ code: 0, signal: null });
});

it('goes on with a login in flight when the terminal closes, which tells every process', AGAIN, async () => {
  const service = await workshop.start(environmentFor(house.database.url), { ownGroup: true });
  await logIn(service);
  const { username, password } = await house.user();
  const lock = await house.database.admin.connect();
  await lock.query('BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
  const inFlight = ask(service, 'POST', '/login', { body: { username, password } });
  await expect
    .poll(async () => {
      const { rows } = await house.database.admin.query('SELECT FROM pg_locks WHERE NOT granted');
      return rows.length;
    })
    .toBeGreaterThan(0);
  process.kill(-Number(service.process.pid), 'SIGHUP');
  await lock.query('ROLLBACK');
  lock.release();
  expect((await inFlight).status).toBe(200);
  expect(await service.exited).toEqual({ code: 0, signal: null });
});

it('leaves no connection behind in the database', async () => {
  const { username, password } = await house.user();
  // Those of the services before may still be on their way.
  await expect.poll(countConnections).toBe(1);
  const service = await workshop.start(environmentFor(house.database.url));
  await ask(service, 'POST', '/login', { body: { username, password } });
  expect(await countConnections()).toBeGreaterThan(1);
  await service.stop('SIGINT');
  await expect.poll(countConnections).toBe(1);
});

async function countConnections(): Promise<number> {
  const { rows } = await house.database.admin.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'gatehouse'`,
  );
  return rows[0]?.count ?? 0;
}
