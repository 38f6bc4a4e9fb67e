// Statements by name, beside those that go through Prisma: the same answers, deadlines and kinds of error.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { DatabaseUnavailable, openDatabase, sqlState, type Database } from '../../src/database/prisma.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { AMPLE_MS } from '../support/house.js';

let server: TestDatabase;
let database: Database;
let hasty: Database;
let reader: Database;

beforeAll(async () => {
  server = await createTestDatabase();
  database = openDatabase(server.url, { deadlineMs: AMPLE_MS });
  hasty = openDatabase(server.url, { deadlineMs: 500 });
  reader = openDatabase(server.url, { connections: 1, readsOnly: true, deadlineMs: AMPLE_MS });
});
afterAll(async () => {
  await Promise.all([database.close(), hasty.close(), reader.close()]);
  await server.drop();
});

describe('a statement by name', () => {
  it('sends and brings what ours are made of', async () => {
    const values = {
      text: 'O\'Brien \\ "x" {,} ü',
      number: 1.5,
      none: null,
      texts: ['a', 'b,c', '{"d"}'],
      flags: [true, false, null],
      bytes: new Uint8Array([0, 1, 255]),
    };
    const [row] = await database.prepared('values')<typeof values>`
      SELECT ${values.text}::text AS text, ${values.number}::float8 AS number, ${values.none}::text AS none,
             ${values.texts}::text[] AS texts, ${values.flags}::boolean[] AS flags, ${values.bytes}::bytea AS bytes`;
    expect({ ...row, bytes: new Uint8Array(row?.bytes ?? []) }).toEqual(values);
  });

  it('is planned once for each connection, and asked anew each time', async () => {
    const ask = () => reader.prepared('one_plan')<{ n: number }>`SELECT ${7}::int4 AS n`;
    expect([await ask(), await ask()]).toEqual([[{ n: 7 }], [{ n: 7 }]]);
    const [kept] = await reader.query<{ times: number }>`
      SELECT (generic_plans + custom_plans)::int4 AS times FROM pg_prepared_statements WHERE name = 'one_plan'`;
    expect(kept).toEqual({ times: 2 });
  });

  it('that is wrong in itself is our mistake', async () => {
    const wrong = database.prepared('wrong')`SELECT 1 / ${0}::int4`;
    await expect(wrong).rejects.not.toBeInstanceOf(DatabaseUnavailable);
    expect(sqlState(await wrong.catch((error: unknown) => error))).toBe('22012');
  });

  it('that takes too long cannot be answered', async () => {
    const startedAt = performance.now();
    await expect(hasty.prepared('slow')`SELECT pg_sleep(30)`).rejects.toBeInstanceOf(DatabaseUnavailable);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('that is ended by the server cannot be answered, and the next one can', async () => {
    const ended = database.prepared('ended')`SELECT pg_terminate_backend(pg_backend_pid())`;
    await expect(ended).rejects.toBeInstanceOf(DatabaseUnavailable);
    expect(await database.prepared('ended_after')`SELECT 1 AS one`).toEqual([{ one: 1 }]);
  });
});

it('plans look-ups alone, once and for all, where nothing else is asked', async () => {
  const settings = ['plan_cache_mode', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'];
  const ask = ({ query }: Database) =>
    query<{
      setting: string;
    }>`SELECT current_setting(name) AS setting FROM unnest(${settings}::text[]) AS name`;
  expect((await ask(reader)).map(({ setting }) => setting)).toEqual([
    'force_generic_plan',
    'off',
    'off',
    'off',
    'off',
  ]);
  expect((await ask(database)).map(({ setting }) => setting).slice(0, 4)).toEqual(['auto', 'on', 'on', 'on']);
});

/** A way to the database that resets each connection when it is asked whether it reaches a primary. */
async function openBrittleWay(): Promise<{ url: string; close: () => void }> {
  const url = new URL(server.url);
  const target = { port: Number(url.port), host: url.hostname };
  const way = createServer((near) => {
    const far = connect(target);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('close', () => far.destroy());
    far.on('data', (bytes) => near.write(bytes));
    near.on('data', (bytes) => {
      if (bytes.includes('pg_is_in_recovery')) near.resetAndDestroy();
      else far.write(bytes);
    });
  }).listen(0, '127.0.0.1');
  await once(way, 'listening');
  url.port = String((way.address() as AddressInfo).port);
  return { url: url.href, close: () => way.close() };
}

// An `error` event that nobody listens to would fail the run, as it would end the service.
it('survives connections that break while they are verified', async () => {
  const way = await openBrittleWay();
  const broken = openDatabase(way.url, { connections: 2 });
  try {
    for (const ask of [broken.query, broken.prepared('broken'), broken.query])
      await expect(ask`SELECT 1 AS one`).rejects.toBeInstanceOf(DatabaseUnavailable);
  } finally {
    await broken.close();
    way.close();
  }
});
