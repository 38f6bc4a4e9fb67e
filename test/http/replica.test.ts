// A replica from its start to its end, in this process: what it is made of besides the routes.
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { findFreePort } from '../../packages/lab/shared/ports.js';
import { createReplica } from '../../src/process/replica.js';
import { loggerOptions } from '../../src/http/log/log.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { DEFAULTS, SECRET } from '../support/house.js';

/** Between two rounds of housekeeping, where chance says neither sooner nor later. */
const ROUND_MS = 60_000;

const MOST_ROUNDS = 20;

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await database.drop();
});

interface Line {
  level: string;
  msg: string;
  type?: string;
  err?: { code?: string };
}

function createLog() {
  const lines: Line[] = [];
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as Line);
      done();
    },
  });
  return { lines, logger: pino(loggerOptions('debug'), destination) };
}

it('tidies up as long as it serves, and says when it cannot', async () => {
  // Time passes when the test says so; for PostgreSQL and its answers it goes on.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  const { lines, logger } = createLog();
  const replica = createReplica(logger);
  const config = { ...DEFAULTS, host: '127.0.0.1', port: 0 };
  await replica.serve({ config, databaseUrl: database.url, secrets: [SECRET] });

  /** Lets rounds come until one leaves a line with these words: its deadlines may be short on a busy machine. */
  async function untilSaid(words: string): Promise<Line | undefined> {
    for (let round = 1; round <= MOST_ROUNDS; round += 1) {
      const before = lines.length;
      vi.advanceTimersByTime(ROUND_MS);
      while (lines.length === before) await sleep(5);
      if (lines[before]?.msg === words) return lines[before];
    }
    return undefined;
  }

  const pruned = { level: 'debug', rows: 0, attempts: 0, keys: 0 };
  expect(await untilSaid('pruned')).toMatchObject(pruned);
  await database.admin.query('ALTER TABLE login_attempts RENAME TO hidden');
  const failed = await untilSaid('pruning failed, will be tried again');
  expect(failed).toMatchObject({ level: 'warn', err: { type: 'DatabaseError', code: '42P01' } });
  await database.admin.query('ALTER TABLE hidden RENAME TO login_attempts');
  expect(await untilSaid('pruned')).toMatchObject(pruned);

  await replica.leave('SIGINT');
  const before = lines.length;
  vi.advanceTimersByTime(10 * ROUND_MS);
  await database.admin.query('SELECT 1');
  expect(lines.slice(before)).toEqual([]);
});

it.each([
  ['all', 3],
  ['changes', 0],
  ['off', 0],
] as const)(
  'counts what it refuses with EVENTS=%s, and writes it when it leaves: %i',
  async (events, times) => {
    const { lines, logger } = createLog();
    const replica = createReplica(logger);
    const port = await findFreePort();
    const adminAddress = { host: '127.0.0.1', port: await findFreePort() };
    const config = { ...DEFAULTS, host: '127.0.0.1', port, adminAddress, events };
    await replica.serve({ config, databaseUrl: database.url, secrets: [SECRET] });
    const headers = {
      authorization: 'Basic b3JkZXJzOndyb25n',
      'content-type': 'application/x-www-form-urlencoded',
    };
    const ask = (at: number, path: string, init: RequestInit) => fetch(`http://127.0.0.1:${at}${path}`, init);
    for (let time = 1; time <= 2; time += 1) {
      const refused = await ask(port, '/introspect', { method: 'POST', headers, body: 'token=any' });
      expect(refused.status).toBe(401);
    }
    expect((await ask(adminAddress.port, '/admin/users', { headers })).status).toBe(401);
    await replica.leave('SIGINT');
    const { rows } = await database.admin.query<{ ip: string; detail: { door: string; times: number } }>(
      "SELECT ip, detail FROM events WHERE type = 'request.refused' ORDER BY detail->>'door'",
    );
    expect(rows.reduce((sum, { detail }) => sum + detail.times, 0)).toBe(times);
    if (events === 'all')
      expect(rows).toEqual([
        { ip: '127.0.0.1', detail: { door: 'clients', times: 2 } },
        { ip: '127.0.0.1', detail: { door: 'operators', times: 1 } },
      ]);
    expect(lines.filter(({ level }) => ['warn', 'error'].includes(level))).toEqual([]);
  },
);

it('says that refused requests cannot be written, and that what is left at its end is lost', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { lines, logger } = createLog();
  const replica = createReplica(logger);
  const port = await findFreePort();
  const config = { ...DEFAULTS, host: '127.0.0.1', port };
  await replica.serve({ config, databaseUrl: database.url, secrets: [SECRET] });
  await fetch(`http://127.0.0.1:${port}/admin/users`);
  await database.admin.query('ALTER TABLE events RENAME TO hidden');
  const said = (words: string) => lines.filter(({ msg }) => msg === words);
  const again = 'refused requests cannot be written as events, will be tried again';
  vi.advanceTimersByTime(ROUND_MS);
  while (said(again).length === 0) await sleep(5);
  expect(said(again)[0]).toMatchObject({ level: 'warn', err: { code: '42P01' } });
  await replica.leave('SIGINT');
  expect(said('events cannot be written and are lost')).toMatchObject([
    { level: 'warn', type: 'request.refused', err: { code: '42P01' } },
  ]);
});

it('leaves at once where it has never served: no load balancer looks at it yet', async () => {
  const replica = createReplica(createLog().logger);
  const left = replica.leave('SIGTERM').then(() => 'left');
  expect(await Promise.race([left, sleep(500, 'lingers')])).toBe('left');
});
