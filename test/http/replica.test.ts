// A replica from its start to its end, in this process: what it is made of besides the routes.
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

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
