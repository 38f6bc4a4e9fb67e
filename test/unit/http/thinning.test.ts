// Floods in the log: a few lines a second for each reason, and how many more there were.
import { Writable } from 'node:stream';
import pino from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { loggerOptions } from '../../../src/http/log/log.js';
import { createThinning } from '../../../src/http/log/thinning.js';

let lines: Record<string, unknown>[] = [];

function thinning(): (reason: string) => boolean {
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  return createThinning(pino(loggerOptions('info'), destination));
}

beforeEach(() => {
  lines = [];
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it('has ten lines a second written for a reason, and the others told of in one', () => {
  const isWorthALine = thinning();

  const written = Array.from({ length: 1000 }, () => isWorthALine('no room')).filter(Boolean);
  expect(written).toHaveLength(10);
  expect(lines).toEqual([]);

  vi.advanceTimersByTime(1000);
  expect(lines).toMatchObject([{ level: 'info', reason: 'no room', requests: 990 }]);
});

it('counts each reason for itself, and anew in each second', () => {
  const isWorthALine = thinning();
  const ask = (reason: string, times: number) =>
    Array.from({ length: times }, () => isWorthALine(reason)).filter(Boolean).length;

  expect([ask('no room', 11), ask('no database', 3)]).toEqual([10, 3]);
  vi.advanceTimersByTime(1000);
  expect(ask('no room', 4)).toBe(4);
  vi.advanceTimersByTime(1000);
  expect(lines).toMatchObject([{ reason: 'no room', requests: 1 }]);
});
