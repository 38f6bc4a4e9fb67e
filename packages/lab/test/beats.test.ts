// What the proof knows of beats: each one that was committed, and none that was not.
import { afterAll, beforeAll, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../../src/database/prisma.js';
import { beat } from '../../../src/domain/liveness/beat.js';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { noteBeats, readBeats } from '../chaos/beats.js';

const START = 1_900_000_000;
const WINDOW_SECONDS = 10;

let test: TestDatabase;
let database: Database;

beforeAll(async () => {
  test = await createTestDatabase();
  database = openDatabase(test.url);
  await test.clock.freeze(START);
  await test.admin.query('DROP TRIGGER clock_is_moved ON beat');
  await test.admin.query(
    `INSERT INTO beat (beaten_at) VALUES (clock_timestamp())
     ON CONFLICT (id) DO UPDATE SET beaten_at = excluded.beaten_at, answering_since = NULL, answered_until = NULL`,
  );
  await noteBeats({ query: (text) => test.admin.query(text) });
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

async function beatAt(seconds: number): Promise<void> {
  await test.clock.freeze(START + seconds);
  await beat(database, WINDOW_SECONDS);
}

const told = async () =>
  (await readBeats(test.url)).map(({ at, since, until }) =>
    [at, since, until].map((time) => (time === null ? null : Math.round(time - 1000 * START))),
  );

it('notes the beat that was there, those that follow, and the gaps between them', async () => {
  await beatAt(1);
  await beatAt(8);
  await beatAt(9);
  expect(await told()).toEqual([
    [0, null, null],
    [1000, null, null],
    [8000, 8000, 1000],
    [9000, 8000, 1000],
  ]);
});

it('notes no beat that is not committed, and none that another replica has spared', async () => {
  const before = await told();
  const client = await test.admin.connect();
  await client.query(`BEGIN; UPDATE beat SET beaten_at = 'infinity'`);
  expect(await told()).toEqual(before);
  await client.query('ROLLBACK');
  client.release();
  await beatAt(9.5);
  expect(await told()).toEqual(before);
});

it('says when each was noted, one after the other', async () => {
  const times = (await readBeats(test.url)).map(({ notedAt }) => notedAt);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});
