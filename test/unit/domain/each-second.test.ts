// What a replica does each second beside the requests, by a clock of the test: it beats, and it looks where its database is.
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import type { Database } from '../../../src/database/prisma.js';
import { startBeating } from '../../../src/domain/liveness/beat.js';
import { startLookout } from '../../../src/domain/liveness/lookout.js';
import { told } from '../../../src/domain/reports/told.js';

const NOW_MS = 1_900_000_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

const down = () => Promise.reject(new Error('down'));

describe('the beat', () => {
  /** A database in which the n-th statement ends as the n-th outcome does, and all others succeed. */
  function openDatabase(...outcomes: (() => Promise<unknown>)[]) {
    const statements: unknown[] = [];
    const prepared = (name: string) => () => {
      statements.push(name);
      return (outcomes.shift() ?? (() => Promise.resolve([])))();
    };
    return { statements, database: { prepared } as unknown as Database };
  }

  it('is written at once, and then each second until it is stopped', async () => {
    const { database, statements } = openDatabase();
    const stop = await startBeating(database, 30, () => undefined);
    expect(statements).toEqual(['beat']);
    await vi.advanceTimersByTimeAsync(999);
    expect(statements).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(statements).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(3000);
    expect(statements).toHaveLength(5);
    await stop();
    await vi.advanceTimersByTimeAsync(3000);
    expect(statements).toHaveLength(5);
  });

  it('that fails is told once for all that fail in a row', async () => {
    const well = () => Promise.resolve([]);
    const { database, statements } = openDatabase(down, down, down, well, well, down, down);
    const failures: unknown[] = [];
    const stop = await startBeating(database, 30, (error) => failures.push(error));
    expect(failures).toEqual([new Error('down')]);
    await vi.advanceTimersByTimeAsync(4000);
    expect(failures).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(failures).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(2000);
    expect([failures.length, statements.length]).toEqual([2, 8]);
    await stop();
  });
});

describe('the lookout', () => {
  it('tells each second how far our clock is from the primary’s, and that nobody can be asked', async () => {
    const heard: object[] = [];
    onTestFinished(told.look.listen((message) => heard.push(message)));
    const answers = [() => Promise.resolve([{ now: NOW_MS / 1000 - 2 }]), down];
    const fresh = { query: () => () => (answers.shift() ?? down)() } as unknown as Database;
    const stop = startLookout(fresh);
    await vi.advanceTimersByTimeAsync(999);
    expect(heard).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(heard).toEqual([{ isUp: true, clockOffsetSeconds: 3 }]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(heard.slice(1)).toEqual([{ isUp: false }]);
    await stop();
    await vi.advanceTimersByTimeAsync(3000);
    expect(heard).toHaveLength(2);
  });
});
