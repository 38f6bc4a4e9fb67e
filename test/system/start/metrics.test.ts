// METRICS_ADDRESS: metrics and nothing else, of one process or the sum of several; nothing at all without it.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { linesOf, openConnections } from '../../support/connections.js';
import { openHouse, type House } from '../../support/house.js';
import { isRunning } from '../../support/processes.js';
import { connectRaw } from '../../support/raw-socket.js';
import { ask, createWorkshop, environmentFor, type Service } from '../../support/service.js';

const workshop = createWorkshop();
let house: House;

beforeAll(async () => {
  house = await openHouse();
});
afterEach(() => workshop.clear());
afterAll(() => house.close());

interface Measured {
  service: Service;
  url: string;
}

async function start(environment: Record<string, string>, place = workshop): Promise<Measured> {
  const address = `127.0.0.1:${await findFreePort()}`;
  const given = { ...environmentFor(house.database.url), METRICS_ADDRESS: address, ...environment };
  const service = await place.start(given);
  const url = `http://${address}/metrics`;
  while (!(await isAnswered(url))) await sleep(20);
  return { service, url };
}

function isAnswered(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ status }) => status === 200,
    () => false,
  );
}

/** The value of one series; NaN where it is not there. */
async function read(url: string, series: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? NaN);
}

/** All requests that were counted, but for those by which somebody waits until the service is ready. */
async function countRequests(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const counts = text.matchAll(/^http_request_duration_seconds_count\{(?!.*route="\/ready").*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

const WRONG = 'gatehouse_logins_total{outcome="wrong"}';

/**
 * On a busy machine a login may find no turn to hash in time: that is a 503, and counts as such. It also stays a guess at the account,
 * so it is somebody else each time.
 */
async function failToLogIn(service: Service): Promise<void> {
  let status: number;
  do {
    const body = { username: `nobody-${randomUUID()}`, password: 'a password of nobody' };
    ({ status } = await ask(service, 'POST', '/login', { body }));
  } while (status === 503);
  expect(status).toBe(401);
}

it('serves metrics at GET /metrics, and nothing else', async () => {
  const { service, url } = await start({ WORKERS: '1' });
  const { headers } = await fetch(url);
  expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const origin = new URL(url).origin;
  const others = [['/'], ['/metrics/'], ['/health'], ['/metrics', { method: 'POST' }]] as const;
  for (const [path, options] of others) expect((await fetch(origin + path, options)).status).toBe(404);
  expect((await ask(service, 'GET', '/metrics')).status).toBe(404);

  await failToLogIn(service);
  expect(await read(url, WRONG)).toBe(1);
  const before = await countRequests(url);
  expect(before).toBeGreaterThan(0);
  const noHttp = connectRaw(service.port, 'this is no HTTP\r\n\r\n');
  await noHttp.closed;
  expect(noHttp.received()).toMatch(/^HTTP\/1\.1 400 /);
  expect(await countRequests(url), 'what cannot be read as HTTP is not counted').toBe(before);
  await expect.poll(() => read(url, 'gatehouse_database_up')).toBe(1);
  await expect.poll(() => read(url, 'gatehouse_keys{state="signing"}')).toBe(1);
  expect(Math.abs(await read(url, 'gatehouse_clock_offset_seconds'))).toBeLessThan(60);
});

describe('with WORKERS', () => {
  const lasting = createWorkshop();
  let service: Service;
  let url: string;

  beforeAll(async () => {
    ({ service, url } = await start({ WORKERS: '2', LOG_LEVEL: 'debug' }, lasting));
  });
  afterAll(() => lasting.clear());

  it('adds up, and loses nothing of a worker that has ended', async () => {
    for (let n = 0; n < 4; n += 1) await failToLogIn(service);
    // One that is busy is counted as it was the last time.
    await expect.poll(() => read(url, WRONG)).toBe(4);
    // There is one lookout, and one set of keys, however many serve.
    await expect.poll(() => read(url, 'gatehouse_database_up')).toBe(1);
    await expect.poll(() => read(url, 'gatehouse_keys{state="signing"}')).toBe(1);

    const pids = new Set((await openConnections(service, 8)).map(({ pid }) => pid));
    expect(pids.size).toBe(2);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    const replaced = () => linesOf(service).filter(({ msg }) => msg === 'a worker took its place');
    await expect.poll(() => replaced().length, { timeout: 60_000 }).toBe(2);
    await expect.poll(() => read(url, WRONG)).toBe(4);
    await failToLogIn(service);
    await expect.poll(() => read(url, WRONG)).toBe(5);
  });

  it('are answered until all have left', async () => {
    const pids = new Set((await openConnections(service, 8)).map(({ pid }) => pid));
    const exited = service.stop('SIGTERM');
    while (await isAnswered(url)) await sleep(5);
    expect([...pids].filter(isRunning)).toEqual([]);
    expect(await exited).toEqual({ code: 0, signal: null });
  });
});

it('says in one line that its port is taken, and does not start', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    const service = await workshop.spawn({
      ...environmentFor(house.database.url),
      METRICS_ADDRESS: `127.0.0.1:${port}`,
    });
    expect((await service.exited).code).toBe(1);
    expect(service.output.stderr).toBe(
      `gatehouse: port ${port} is taken: stop what listens there, or set METRICS_ADDRESS\n`,
    );
  } finally {
    server.close();
  }
});

it('is on no port where it is not set', async () => {
  const service = await workshop.start(environmentFor(house.database.url));
  expect(linesOf(service).filter(({ msg }) => String(msg).startsWith('metrics'))).toEqual([]);
});
