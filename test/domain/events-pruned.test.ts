// Events that are over go, the oldest first, in small batches by index; those that are not over stay.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { createEventPruning, ROUNDS_OF_A_DAY } from '../../src/domain/events/kept.js';
import type { Database } from '../../src/database/prisma.js';
import { openHouse, type House, type Replica } from '../support/house.js';
import { askNothing, explain, listen, type Asked } from '../support/plans.js';

const DAY_SECONDS = 86_400;
const FIRST = '00000000-0000-0000-0000-000000000000';

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
beforeEach(async () => {
  // Rows would come to lie where vacuum, at a time of its own, has made room, and the planner would think less of the index.
  await house.database.admin.query('TRUNCATE events');
});
afterAll(() => house.close());

/** One event a second, the latest of them so many days ago. */
async function write(count: number, daysAgo: number): Promise<void> {
  await house.database.admin.query(
    `INSERT INTO events (id, type, outcome, actor, user_id)
     SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp() - make_interval(days => $2, secs => n)) * 1000)::bigint), 12, '0') || '7' ||
             substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid, 'session.opened', 'ok', 'user:' || n, gen_random_uuid()
     FROM generate_series($1::int4, 1, -1) AS n`,
    [count, daysAgo],
  );
}

async function count(): Promise<number> {
  const { rows } = await house.database.admin.query<{ n: number }>('SELECT count(*)::int4 AS n FROM events');
  return rows[0]?.n ?? -1;
}

/** One round of a replica that has just started. */
function pruneEvents(database: Database, retentionSeconds: number, signal?: AbortSignal): Promise<number> {
  return createEventPruning(database, retentionSeconds)(signal);
}

/** Behind which id each statement began. */
function begunOf(asked: Asked[]): string[] {
  return asked.map(({ values }) => String(values[1]));
}

it('go when they are older than is said, and not a second before', async () => {
  await write(5, 2);
  await write(5, 0);
  expect(await pruneEvents(replica.database, 3 * DAY_SECONDS)).toBe(0);
  expect(await pruneEvents(replica.database, 2 * DAY_SECONDS)).toBe(5);
  expect(await pruneEvents(replica.database, 2 * DAY_SECONDS)).toBe(0);
  expect(await count()).toBe(5);
});

it('go by at most 1,000 in a statement, each of which begins behind the one before the last', async () => {
  await write(4500, 2);
  const { rows } = await house.database.admin.query<{ id: string }>('SELECT id FROM events ORDER BY id');
  const database = listen(replica.database);
  expect(await pruneEvents(database, DAY_SECONDS)).toBe(4500);
  expect(await count()).toBe(0);
  expect(begunOf(database.asked)).toEqual([
    FIRST,
    FIRST,
    ...[999, 1999, 2999].map((place) => rows[place]?.id),
  ]);
});

it('are not looked for at the beginning again by the next round, but once a day', async () => {
  await write(1500, 2);
  const database = listen(replica.database);
  const prune = createEventPruning(database, DAY_SECONDS);
  expect(await prune()).toBe(1500);
  await write(5, 1);
  database.asked.length = 0;
  for (let round = 1; round <= ROUNDS_OF_A_DAY; round += 1) await prune();
  const begun = begunOf(database.asked);
  expect(await count()).toBe(0);
  expect(begun).toHaveLength(ROUNDS_OF_A_DAY);
  expect(begun.indexOf(FIRST)).toBe(ROUNDS_OF_A_DAY - 1);
});

it('go later where somebody held them, however far the others have got', async () => {
  await write(2500, 2);
  const prune = createEventPruning(replica.database, DAY_SECONDS);
  const client = await house.database.admin.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT FROM events ORDER BY id LIMIT 4 FOR UPDATE');
    expect(await prune()).toBe(2496);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  for (let round = 1; round < ROUNDS_OF_A_DAY; round += 1) await prune();
  expect(await prune()).toBe(4);
});

it('stop between two statements when they are told to', async () => {
  await write(2500, 2);
  expect(await pruneEvents(replica.database, DAY_SECONDS, AbortSignal.abort())).toBe(1000);
  expect(await count()).toBe(1500);
});

it('pass by what somebody else holds, and wait for nobody', async () => {
  await write(10, 2);
  const client = await house.database.admin.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT FROM events ORDER BY id LIMIT 4 FOR UPDATE');
    expect(await pruneEvents(replica.database, DAY_SECONDS)).toBe(6);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  expect(await pruneEvents(replica.database, DAY_SECONDS)).toBe(4);
});

it('are read by index, however many stay', async () => {
  await write(3000, 2);
  await write(30_000, 0);
  await house.database.admin.query('ANALYZE events');
  const [statement] = await askNothing((nobody) => pruneEvents(nobody, DAY_SECONDS));
  if (statement === undefined) throw new Error('nothing was asked');
  const { kinds, rows } = await explain(house.database.admin, statement, 'events');
  expect(kinds).toEqual(['Index Scan', 'Tid Scan']);
  expect(rows).toBeLessThanOrEqual(2000);
});
