// What operators ask about many events: each of the three queries is served by its index, and reads no more than a page needs.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Database } from '../../src/database/prisma.js';
import { findEvents, followEvents, type EventFilter } from '../../src/domain/operators/events.js';
import { openHouse, type House } from '../support/house.js';
import { askNothing, explain } from '../support/plans.js';

const MANY = 40_000;
const LIMIT = 50;
const PAGE = { limit: LIMIT, after: null };
const ANY: EventFilter = { userId: null, actor: null, type: null, since: null, until: null };

let house: House;
let userId: string;

beforeAll(async () => {
  house = await openHouse();
  ({ id: userId } = await house.user());
  await house.database.admin.query(
    `INSERT INTO events (id, type, outcome, actor, user_id)
     SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp() - n * interval '1 second') * 1000)::bigint), 12, '0') || '7' ||
             substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
            CASE WHEN n % 1000 = 0 THEN 'user.added' ELSE 'session.opened' END, 'ok',
            CASE WHEN n % 100 = 0 THEN 'client:console' ELSE 'user:' || md5((n % 5000)::text)::uuid END,
            md5((n % 5000)::text)::uuid
     FROM generate_series(1, $1::int4) AS n`,
    [MANY],
  );
  await house.database.admin.query('VACUUM ANALYZE events');
}, 120_000);
afterAll(() => house.close());

const find = (filter: Partial<EventFilter>) => (database: Database) =>
  findEvents(database, { ...ANY, ...filter }, PAGE);

const QUERIES: [string, () => (database: Database) => Promise<unknown>, number][] = [
  ['all', () => find({}), LIMIT + 1],
  ['those of a time', () => find({ until: new Date(0) }), 0],
  ['those about a user', () => find({ userId: '00000000-0000-4000-8000-000000000000' }), 0],
  ['those about a user who is there', () => find({ userId }), 1],
  ['those by an actor', () => find({ actor: 'client:console' }), LIMIT + 1],
  ['those by nobody', () => find({ actor: `client:${randomUUID()}` }), 0],
  ['those of a type', () => find({ type: 'key.reset' }), 5000],
];

describe.each(QUERIES)('%s', (_name, query, most) => {
  it('are read by index, and no more than a page needs', async () => {
    const [statement, ...more] = await askNothing(query());
    if (statement === undefined) throw new Error('nothing was asked');
    expect(more).toEqual([]);
    const { kinds, rows } = await explain(house.database.admin, statement, 'events');
    expect(kinds).not.toEqual([]);
    expect(kinds).not.toContain('Seq Scan');
    expect(rows).toBeLessThanOrEqual(most);
  });
});

it('a page far behind is as cheap as the first', async () => {
  const { database } = await house.replica();
  let after: string | null = null;
  for (let page = 0; page < 20; page += 1)
    ({ next: after } = await findEvents(database, ANY, { limit: 200, after }));
  const [statement] = await askNothing((nobody) => findEvents(nobody, ANY, { limit: 200, after }));
  if (statement === undefined) throw new Error('nothing was asked');
  const { rows } = await explain(house.database.admin, statement, 'events');
  expect(rows).toBeLessThanOrEqual(201);
});

it('new ones come once each, oldest first, also those whose commit came late', async () => {
  const { database } = await house.replica();
  const readNew = followEvents(database);
  expect(await readNew()).toEqual([]);
  const { admin } = house.database;
  const late = await admin.connect();
  try {
    const insert = `INSERT INTO events (id, type, outcome, actor)
      VALUES ((lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' ||
               substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid, 'user.added', 'ok', $1)`;
    await late.query('BEGIN');
    await late.query(insert, ['cli:late']);
    await admin.query(insert, ['cli:one']);
    await admin.query(`SELECT pg_sleep(0.01)`);
    await admin.query(insert, ['cli:two']);
    expect((await readNew()).map(({ actor }) => actor)).toEqual(['cli:one', 'cli:two']);
    await late.query('COMMIT');
    expect((await readNew()).map(({ actor }) => actor)).toEqual(['cli:late']);
    expect(await readNew()).toEqual([]);
  } finally {
    late.release();
  }
});
