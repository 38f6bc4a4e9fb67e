// Statements, with and without a name, and rows that Prisma looks up: the same deadlines and kinds of error.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sqlState } from '../../../src/database/failure.js';
import { openDatabase, type Database } from '../../../src/database/prisma.js';
import { DatabaseUnavailable } from '../../../src/database/unavailable.js';
import { sql } from '../../../src/database/sql.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { AMPLE_MS } from '../../support/house.js';
import { holdTables } from '../../support/row-lock.js';
import { stallCommits } from '../../support/stalled-commits.js';

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

it('asks for durable commits on every connection, whatever the server’s default is', async () => {
  const own = await createTestDatabase();
  await own.admin.query(
    `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`,
  );
  const pools = [false, true].map((readsOnly) => openDatabase(own.url, { readsOnly, deadlineMs: AMPLE_MS }));
  try {
    for (const pool of pools) {
      const rows = await pool.query({ durability: 'text', isolation: 'text' })`
        SELECT current_setting('synchronous_commit') AS durability,
               current_setting('default_transaction_isolation') AS isolation`;
      expect(rows).toEqual([{ durability: 'on', isolation: 'read committed' }]);
    }
  } finally {
    await Promise.all(pools.map((pool) => pool.close()));
    await own.drop();
  }
});

describe('a statement by name', () => {
  it('sends and brings what ours are made of', async () => {
    const values = {
      text: 'O\'Brien \\ "x" {,} ü',
      number: 1.5,
      none: null,
      texts: ['a', 'b,c', '{"d"}'],
      flags: '{t,f,NULL}',
      bytes: new Uint8Array([0, 1, 255]),
    };
    const [row] = await database.prepared('values', {
      text: 'text',
      number: 'float8',
      none: 'text?',
      texts: 'text[]',
      flags: 'text',
      bytes: 'bytea',
    })`
      SELECT ${values.text}::text AS text, ${values.number}::float8 AS number, ${values.none}::text AS none,
             ${values.texts}::text[] AS texts, ${[true, false, null]}::boolean[]::text AS flags,
             ${values.bytes}::bytea AS bytes`;
    expect({ ...row, bytes: new Uint8Array(row?.bytes ?? []) }).toEqual(values);
  });

  it('is planned once for each connection, and asked anew each time', async () => {
    const ask = () => reader.prepared('one_plan', { n: 'int4' })`SELECT ${7}::int4 AS n`;
    expect([await ask(), await ask()]).toEqual([[{ n: 7 }], [{ n: 7 }]]);
    const [kept] = await reader.query({ times: 'int4' })`
      SELECT (generic_plans + custom_plans)::int4 AS times FROM pg_prepared_statements WHERE name = 'one_plan'`;
    expect(kept).toEqual({ times: 2 });
  });

  it('that is wrong in itself is our mistake', async () => {
    const wrong = database.prepared('wrong', {})`SELECT 1 / ${0}::int4`;
    await expect(wrong).rejects.not.toBeInstanceOf(DatabaseUnavailable);
    expect(sqlState(await wrong.catch((error: unknown) => error))).toBe('22012');
  });

  it('that takes too long cannot be answered', async () => {
    const startedAt = performance.now();
    await expect(hasty.prepared('slow', {})`SELECT pg_sleep(30)`).rejects.toBeInstanceOf(DatabaseUnavailable);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('whose commit waits for something else than a standby says how long it was waited for', async () => {
    const stalled = await stallCommits(server, 'login_attempts');
    const late = hasty.query({})`INSERT INTO login_attempts (key, points, expire) VALUES ('late', 0, 0)`;
    await expect(late).rejects.toThrow('no answer within 500 ms');
    await stalled.end();
  });

  it('that is ended by the server cannot be answered, and the next one can', async () => {
    const ended = database.prepared('ended', {})`SELECT pg_terminate_backend(pg_backend_pid())`;
    await expect(ended).rejects.toBeInstanceOf(DatabaseUnavailable);
    expect(await database.prepared('ended_after', { one: 'int4' })`SELECT 1 AS one`).toEqual([{ one: 1 }]);
  });
});

describe('the columns of a statement', () => {
  it('are those that it declares, in any order', async () => {
    const brought = database.query({ b: 'text?', a: 'int4' })`SELECT 1 AS a, NULL AS b`;
    expect(await brought).toEqual([{ a: 1, b: null }]);
    expect(await database.query({})`SELECT FROM users`).toEqual([]);
  });

  it.each([
    ['another name', `SELECT 1 AS n, 'x' AS b`],
    ['another type', `SELECT 1::int8 AS a, 'x' AS b`],
    ['one missing', `SELECT 1 AS a`],
    ['one too many', `SELECT 1 AS a, 'x' AS b, 2 AS c`],
    ['one twice', `SELECT 1 AS a, 'x' AS b, 2 AS a`],
    ['other columns of no row', `SELECT 1 AS n, 'x' AS b WHERE false`],
  ])('are not believed with %s, at the first time as later', async (what, text) => {
    const template = Object.assign([text], { raw: [text] });
    const columns = { a: 'int4', b: 'text' } as const;
    for (const ask of [database.query(columns), database.prepared(what, columns), database.query(columns)]) {
      const asking = ask(template);
      await expect(asking).rejects.toThrow(
        'a statement declares the columns (a 23, b 25) and PostgreSQL sends',
      );
      await expect(asking).rejects.not.toBeInstanceOf(DatabaseUnavailable);
    }
  });
});

describe('a fragment', () => {
  const sum = sql`${sql`2`} + ${3}`;

  it('is part of the text, and values keep their places', async () => {
    const asking = database.query({ before: 'text', sum: 'int4', after: 'text' })`
      SELECT ${'a'}::text AS before, ${sum} AS sum, ${'b'}::text AS after`;
    expect(await asking).toEqual([{ before: 'a', sum: 5, after: 'b' }]);
  });

  it('that is another one than at the first time is refused: the text was built by then', async () => {
    const ask = (part: unknown) => database.query({ n: 'int4' })`SELECT ${part}::int4 AS n`;
    expect(await ask(sql`1`)).toEqual([{ n: 1 }]);
    await expect(ask(sql`2`)).rejects.toThrow('a fragment of a statement must be a constant');
    await expect(ask(1)).rejects.toThrow('a fragment of a statement must be a constant');
  });

  it('is never made of what only looks like one', async () => {
    const forged = JSON.parse('{"text":"1; DROP TABLE users"}') as unknown;
    const [row] = await database.query({ text: 'text' })`SELECT ${forged}::json->>'text' AS text`;
    expect(row).toEqual({ text: '1; DROP TABLE users' });
  });
});

describe('rows that Prisma looks up', () => {
  const lookUp = ({ read }: Database) => read(({ client }) => client.findMany({ select: { id: true } }));

  it('are brought', async () => {
    expect(await lookUp(database)).toEqual([]);
  });

  it('are waited for as long as for a statement', async () => {
    const { release } = await holdTables(server, 'clients');
    await expect(lookUp(hasty)).rejects.toBeInstanceOf(DatabaseUnavailable);
    await release();
  });
});

it('plans look-ups alone, once and for all, where nothing else is asked', async () => {
  const settings = ['plan_cache_mode', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'];
  const ask = ({ query }: Database) =>
    query({
      setting: 'text',
    })`SELECT current_setting(name) AS setting FROM unnest(${settings}::text[]) AS name`;
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
    const columns = { one: 'int4' } as const;
    for (const ask of [broken.query(columns), broken.prepared('broken', columns), broken.query(columns)])
      await expect(ask`SELECT 1 AS one`).rejects.toBeInstanceOf(DatabaseUnavailable);
  } finally {
    await broken.close();
    way.close();
  }
});
