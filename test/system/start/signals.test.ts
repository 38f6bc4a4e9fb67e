// A service that is told to go: load balancers learn of it, requests in flight are answered, and it ends with status 0.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

import { openHouse, type House, type TokenPair } from '../../support/house.js';
import { holdSessions } from '../../support/row-lock.js';
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

/** Refreshes that the service cannot answer before they are released. */
async function holdRefreshes(...pairs: TokenPair[]) {
  const lock = await holdSessions(
    house.database,
    pairs.map(({ session_id }) => session_id),
  );
  let waiting = 0;
  return {
    release: lock.release,
    /** Resolves when the refresh waits. */
    ask: async (service: Service, { refresh_token }: TokenPair) => {
      const answer = ask(service, 'POST', '/refresh', { body: { refresh_token } });
      // Its test waits for it later. Where the service was gone first, that is what the test says.
      answer.catch(() => undefined);
      await lock.queue((waiting += 1));
      return { answer };
    },
  };
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

/** The same signal again, at once: a terminal and npm both tell of one Ctrl-C. */
async function repeat(service: Service, signal: NodeJS.Signals): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await sleep(20);
    service.process.kill(signal);
  }
}

it.each(['SIGTERM', 'SIGHUP'] as const)(
  'turns /ready to 503 at %s, goes on answering for a while, finishes what is in flight, and takes more at once for one',
  AGAIN,
  async (signal) => {
    const service = await workshop.start(environmentFor(house.database.url));
    const [early, late] = [await logIn(service), await logIn(service)];
    const held = await holdRefreshes(early, late);
    const before = await held.ask(service, early);
    const exited = service.stop(signal);
    await expect.poll(async () => (await ask(service, 'GET', '/ready')).status, { interval: 10 }).toBe(503);
    await repeat(service, signal);

    const ready = await ask(service, 'GET', '/ready');
    expect(ready.json()).toMatchObject({ error: 'temporarily_unavailable' });
    expect(ready.headers.get('retry-after')).toMatch(/^[1-9]/);
    expect(ready.headers.get('connection')).toBe('close');
    expect((await ask(service, 'GET', '/health')).status).toBe(200);
    const after = await held.ask(service, late);
    await untilClosed(service);
    expect(service.process.exitCode).toBeNull();
    await held.release();

    expect([(await before.answer).status, (await after.answer).status]).toEqual([200, 200]);
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(service.output.stderr).toBe('');
  },
);

it.each(['SIGINT', 'SIGQUIT'] as const)(
  'goes at once at %s, but not before it has answered, takes more for one, and leaves no connection in the database',
  AGAIN,
  async (signal) => {
    // The one of the house. Those of the services before may still be on their way.
    await house.user();
    await expect.poll(countConnections).toBe(1);
    const service = await workshop.start(environmentFor(house.database.url));
    const pair = await logIn(service);
    expect(await countConnections()).toBeGreaterThan(1);
    const held = await holdRefreshes(pair);
    const inFlight = await held.ask(service, pair);
    const exited = service.stop(signal);
    await untilClosed(service);
    await repeat(service, signal);
    await held.release();

    expect((await inFlight.answer).status).toBe(200);
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(service.output.stderr).toBe('');
    await expect.poll(countConnections).toBe(1);
  },
);

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

async function countConnections(): Promise<number> {
  const { rows } = await house.database.admin.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'gatehouse'`,
  );
  return rows[0]?.count ?? 0;
}
