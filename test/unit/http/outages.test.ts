// Outages in the log: a line when one begins, and one when it is over that says how many requests it cost.
import { Writable } from 'node:stream';
import pino from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { DatabaseUnavailable } from '../../../src/database/unavailable.js';
import { loggerOptions } from '../../../src/http/log/log.js';
import { createOutageLog } from '../../../src/http/log/outages.js';

const AWAY = new DatabaseUnavailable('ECONNREFUSED', 'database_unreachable');

let lines: Record<string, unknown>[] = [];
let noteFailure: ReturnType<typeof createOutageLog>;
let note: () => void;

beforeEach(() => {
  lines = [];
  vi.useFakeTimers();
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  noteFailure = createOutageLog(pino(loggerOptions('info'), destination));
  note = () => noteFailure('database_unreachable', AWAY);
});
afterEach(() => vi.useRealTimers());

it('writes one line at the beginning, with what failed, for however many requests', () => {
  for (let request = 0; request < 1000; request += 1) note();
  expect(lines).toMatchObject([
    {
      level: 'error',
      missing: 'database_unreachable',
      err: { type: 'DatabaseUnavailable', message: 'ECONNREFUSED' },
    },
  ]);
});

it('writes one at the end, with the number of requests and how long it was', () => {
  for (let second = 0; second < 20; second += 1) {
    note();
    note();
    vi.advanceTimersByTime(1000);
  }
  expect(lines).toHaveLength(1);
  vi.advanceTimersByTime(10_000);
  expect(lines.slice(1)).toMatchObject([{ level: 'warn', requests: 40, seconds: 19 }]);
});

it('takes what comes after that for another outage', () => {
  note();
  vi.advanceTimersByTime(10_000);
  note();
  note();
  vi.advanceTimersByTime(10_000);
  expect(lines.map(({ requests }) => requests ?? 'began')).toEqual(['began', 1, 'began', 2]);
});

it('takes each lack of the database for one outage, and a place to hash for another', () => {
  note();
  noteFailure('database_slow', new DatabaseUnavailable('no answer within 2000 ms', 'database_slow'));
  noteFailure('hashing', 'more logins than can be hashed in time');
  expect(lines).toMatchObject([
    { level: 'error', missing: 'database_unreachable' },
    { level: 'warn', missing: 'hashing', reason: 'more logins than can be hashed in time' },
  ]);
  vi.advanceTimersByTime(10_000);
  expect(lines.slice(2)).toMatchObject([
    { level: 'warn', missing: 'database_unreachable', requests: 2 },
    { level: 'warn', missing: 'hashing', requests: 1 },
  ]);
});

it('is silent about a replica that says on purpose that it is not ready', () => {
  noteFailure('not_ready', 'This replica is shutting down.');
  vi.advanceTimersByTime(10_000);
  expect(lines).toEqual([]);
});
