// Nobody takes the log any more: that is no reason to keep anyone waiting, or to log anyone out.
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import type { TokenPair } from '../../support/house.js';
import { settle, type Resident } from '../../support/resident.js';
import { retryOn503 } from '../../support/retry.js';
import {
  createWorkshop,
  environmentFor,
  untilReady,
  type Answer,
  type Service,
} from '../../support/service.js';
import { slowestOf, statusesOf, verdictsOf } from '../../support/watch.js';

/** What a pipe and its two ends hold, at most. */
const PIPE_BYTES = 250_000;
/** What they log is several times as much: some 300 bytes for each. */
const MORE_THAN_A_PIPE_HOLDS = 2600;
/** What they log fills it, and more waits in memory. */
const FILLS_A_PIPE = 1300;
/** Enough where no line is taken, so that the first one does what all of them do. */
const SOME = 500;
const CALLERS = 25;
/** Whoever waits for the log waits for ever. */
const ANSWER_WITHIN_MS = 10_000;

const workshop = createWorkshop();
let database: TestDatabase;
let resident: Resident;
let service: Service | undefined;

beforeAll(async () => {
  database = await createTestDatabase();
  resident = await settle(database.url);
});
afterEach(async () => {
  // One that waits for its log to be taken would hear nothing less.
  service?.process.kill('SIGKILL');
  await workshop.clear();
});
afterAll(() => database.drop());

/** At a level at which each request is worth a line. */
async function start(logFile?: string): Promise<Service> {
  const environment = { ...environmentFor(database.url), LOG_LEVEL: 'debug' };
  service = await workshop.spawn(environment, logFile === undefined ? {} : { logFile });
  await untilReady(service);
  return service;
}

interface Day {
  times: number;
  answers: Answer[];
  /** How often was asked, those included whom a 503 told to ask again. */
  asks: number;
}

async function introspectAllDay(asked: Service, times: number): Promise<Day> {
  const [pair] = (await resident.openSessions(asked, 1)) as [TokenPair];
  const day: Day = { times, answers: [], asks: 0 };
  const introspect = () => {
    day.asks += 1;
    return resident.introspect(asked, pair);
  };
  const work = async () => {
    for (let turn = 0; turn < times / CALLERS; turn += 1) day.answers.push(await retryOn503(introspect));
  };
  await Promise.all(Array.from({ length: CALLERS }, work));
  return day;
}

function expectAllGood({ answers, times }: Day): void {
  expect(answers).toHaveLength(times);
  expect(statusesOf(answers)).toEqual(new Set([200]));
  expect(verdictsOf(answers)).toEqual(new Set([true]));
  expect(slowestOf(answers)).toBeLessThan(ANSWER_WITHIN_MS);
}

const countLines = ({ output }: Service) => output.stdout.split('"url":"/introspect"').length - 1;

it('goes on answering while nobody reads the log, and loses no line that there is memory for', async () => {
  const started = await start();
  started.process.stdout?.pause();
  const day = await introspectAllDay(started, MORE_THAN_A_PIPE_HOLDS);
  expectAllGood(day);
  expect(countLines(started)).toBe(0);
  started.process.stdout?.resume();
  await expect.poll(() => countLines(started)).toBe(day.asks);
  expect(started.output.stdout.length).toBeGreaterThan(3 * PIPE_BYTES);
});

it('goes on answering when the reader of the log is gone, and ends as it is told', async () => {
  const started = await start();
  started.process.stdout?.destroy();
  started.process.stderr?.destroy();
  expectAllGood(await introspectAllDay(started, SOME));
  expect(await started.stop('SIGTERM')).toEqual({ code: 0, signal: null });
});

it('goes on answering when the reader goes with lines still to read', async () => {
  const started = await start();
  started.process.stdout?.pause();
  expectAllGood(await introspectAllDay(started, FILLS_A_PIPE));
  started.process.stdout?.destroy();
  expectAllGood(await introspectAllDay(started, SOME));
  expect(await started.stop('SIGTERM')).toEqual({ code: 0, signal: null });
});

it.runIf(existsSync('/dev/full'))(
  'goes on answering when the log has no room, and ends as it is told',
  async () => {
    const started = await start('/dev/full');
    expectAllGood(await introspectAllDay(started, SOME));
    expect(await started.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(started.output.stderr).toBe('');
  },
);
