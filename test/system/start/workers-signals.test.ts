// Workers that are told to go, one way or another: they finish what is in flight, and none of them stays.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

import { linesOf, openConnections, type Connection } from '../../support/connections.js';
import { openHouse, type House, type TokenPair } from '../../support/house.js';
import { holdSessions } from '../../support/row-lock.js';
import { retryOn503 } from '../../support/retry.js';
import { createWorkshop, environmentFor, isAlive, type Service } from '../../support/service.js';

/** Processes take their time on a busy machine. */
const PATIENT = { timeout: 20_000 };

/** What must come within a second or two of something else, in another process: the machine may be slower than that, seldom each time. */
const AGAIN = { retry: 5 };

/** How long a service that is told by SIGTERM goes on serving; timers are never early. */
const LINGER_MS = 1000;

const workshop = createWorkshop();
let house: House;
let environment: Record<string, string>;

beforeAll(async () => {
  house = await openHouse();
  environment = { ...environmentFor(house.database.url), WORKERS: '2', LOG_LEVEL: 'debug' };
});
afterEach(() => workshop.clear());
afterAll(() => house.close());

function pidOf(service: Service): number {
  return Number(service.process.pid);
}

/** One connection to each worker. */
async function openBoth(service: Service): Promise<[Connection, Connection]> {
  const connections = await openConnections(service, 8);
  const [one, two] = new Map(connections.map((connection) => [connection.pid, connection])).values();
  if (one === undefined || two === undefined) throw new Error('one worker took all connections');
  return [one, two];
}

/** A refresh that waits for the database, in each of these workers; it is answered after `release`. */
async function holdRefreshes(connections: Connection[]) {
  const pairs: TokenPair[] = [];
  for (const { ask } of connections) {
    const { username, password } = await house.user();
    const { body } = await retryOn503(() => ask('POST', '/login', { body: { username, password } }));
    pairs.push(JSON.parse(body) as TokenPair);
  }
  const lock = await holdSessions(
    house.database,
    pairs.map(({ session_id }) => session_id),
  );
  const answers = connections.map(({ ask }, index) =>
    ask('POST', '/refresh', { body: { refresh_token: pairs[index]?.refresh_token } }),
  );
  await lock.queue(answers.length);
  return {
    release: async () => {
      await lock.release();
      return (await Promise.all(answers)).map(({ status }) => status);
    },
  };
}

it.each([
  ['SIGTERM', 'the first process', (service: Service) => pidOf(service)],
  ['SIGTERM', 'all processes at once', (service: Service) => -pidOf(service)],
  ['SIGHUP', 'the first process', (service: Service) => pidOf(service)],
  ['SIGHUP', 'all processes at once', (service: Service) => -pidOf(service)],
] as const)(
  'turn /ready to 503 at %s to %s, and finish what is in flight',
  AGAIN,
  async (signal, _whom, target) => {
    const service = await workshop.start(environment, { ownGroup: true });
    const both = await openBoth(service);
    const watches = await openBoth(service);
    const held = await holdRefreshes(both);
    process.kill(target(service), signal);
    for (const { ask } of watches)
      await expect.poll(async () => (await ask('GET', '/ready')).status, { interval: 10 }).toBe(503);
    await sleep(300);
    expect(service.process.exitCode).toBeNull();

    expect(await held.release()).toEqual([200, 200]);
    expect(await service.exited).toEqual({ code: 0, signal: null });
    await expect.poll(() => isAlive(service), PATIENT).toBe(false);
    expect(service.output.stderr).toBe('');
    expect(linesOf(service).filter(({ level }) => level === 'error')).toEqual([]);
  },
);

it(
  'go at once at a Ctrl-C, which reaches all processes, but not before they have answered',
  AGAIN,
  async () => {
    const service = await workshop.start(environment, { ownGroup: true });
    const held = await holdRefreshes(await openBoth(service));
    const toldAt = performance.now();
    process.kill(-pidOf(service), 'SIGINT');
    await sleep(100);
    expect(await held.release()).toEqual([200, 200]);
    expect(await service.exited).toEqual({ code: 0, signal: null });
    // Over before it can have lingered.
    expect(performance.now() - toldAt).toBeLessThan(LINGER_MS);
    await expect.poll(() => isAlive(service), PATIENT).toBe(false);
    expect(service.output.stderr).toBe('');
    expect(linesOf(service).filter(({ level }) => level === 'error')).toEqual([]);
  },
);

it.each([50, 100, 150, 200, 250, 300, 350, 400, 500, 600])(
  'end without a word at a Ctrl-C %i ms after the start',
  async (ms) => {
    const service = await workshop.spawn(environment, { ownGroup: true });
    await sleep(ms);
    process.kill(-pidOf(service), 'SIGINT');
    // The one or the other: Node listens for no signal yet, or it does.
    expect([
      { code: null, signal: 'SIGINT' },
      { code: 0, signal: null },
    ]).toContainEqual(await service.exited);
    await expect.poll(() => isAlive(service), PATIENT).toBe(false);
    expect(service.output.stderr).toBe('');
  },
);

it.each([100, 200, 300, 400, 500])('do not outlive a first process that dies after %i ms', async (ms) => {
  const service = await workshop.spawn(environment, { ownGroup: true });
  await sleep(ms);
  service.process.kill('SIGKILL');
  await expect.poll(() => isAlive(service), PATIENT).toBe(false);
});
