// The fault proxy before a real PostgreSQL: what passes through it, and what each fault does and leaves behind.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createProxy } from '../chaos/proxy.js';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';

const ROW = { name: 'add_row', text: 'INSERT INTO rows (n) VALUES ($1)' };

interface Passed {
  direction: string;
  type: string;
  statement: string | null;
  isCommand: boolean;
}

let database: TestDatabase;
let proxy: Awaited<ReturnType<typeof createProxy>>;
let clients: pg.Client[];

beforeEach(async () => {
  database = await createTestDatabase();
  await database.admin.query('CREATE TABLE rows (n int)');
  proxy = await createProxy({ port: Number(new URL(database.url).port) });
  clients = [];
});
afterEach(async () => {
  await proxy.close();
  await Promise.all(clients.map((client) => client.end()));
  await database.drop();
});

async function connect(): Promise<pg.Client> {
  const url = new URL(database.url);
  url.port = String(proxy.port);
  const client = new pg.Client({ connectionString: url.href });
  // What breaks a connection is told by the query that it broke.
  client.on('error', () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}

function addRow(client: pg.Client, n: number): Promise<unknown> {
  return client.query({ ...ROW, values: [n] });
}

async function rows(): Promise<number[]> {
  const found = await database.admin.query<{ n: number }>('SELECT n FROM rows');
  return found.rows.map(({ n }) => n);
}

async function statementsThatWait(): Promise<string[]> {
  const found = await database.admin.query<{ query: string }>(
    `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return found.rows.map(({ query }) => query);
}

/** Resolves to what became of a promise that nobody waits for any longer. */
async function stateOf(promise: Promise<unknown>, afterMs: number): Promise<string> {
  const settled = promise.then(
    () => 'answered',
    () => 'failed',
  );
  return await Promise.race([settled, sleep(afterMs, 'silent')]);
}

function collect(): Passed[] {
  const passed: Passed[] = [];
  proxy.onMessage(({ direction, type, statement, isCommand }) => {
    passed.push({ direction, type, statement, isCommand });
    return undefined;
  });
  return passed;
}

function typesOf(passed: Passed[], direction: string): string {
  return passed
    .filter((message) => message.direction === direction)
    .map(({ type }) => type)
    .join('');
}

describe('in fair weather', () => {
  it('passes statements and their results through', async () => {
    const client = await connect();
    await addRow(client, 7);
    expect((await client.query('SELECT n FROM rows')).rows).toEqual([{ n: 7 }]);
    expect(proxy.connections()).toBe(1);
  });

  it('tells of every message, beginning with the one that has no type', async () => {
    const passed = collect();
    const client = await connect();
    expect(passed[0]).toEqual({ direction: 'up', type: 'startup', statement: null, isCommand: false });
    passed.length = 0;
    await addRow(client, 1);
    expect([typesOf(passed, 'up'), typesOf(passed, 'down')]).toEqual(['PBDES', '12nCZ']);
    passed.length = 0;
    await addRow(client, 2);
    // Now it is prepared.
    expect([typesOf(passed, 'up'), typesOf(passed, 'down')]).toEqual(['BDES', '2nCZ']);
  });

  it('knows which statement each message is about, and whether that can write', async () => {
    const client = await connect();
    const passed = collect();
    const about = async (query: Promise<unknown>) => {
      passed.length = 0;
      await query;
      return [...new Set(passed.map(({ statement, isCommand }) => `${statement} ${isCommand}`))];
    };
    expect(await about(addRow(client, 1))).toEqual(['add_row true']);
    expect(await about(addRow(client, 2))).toEqual(['add_row true']);
    expect(await about(client.query('SELECT n FROM rows FOR UPDATE'))).toEqual(['SELECT false']);
    expect(
      await about(client.query('WITH gone AS (DELETE FROM rows RETURNING n) SELECT $1::int', [1])),
    ).toEqual(['DELETE FROM rows true']);
  });

  it('passes an answer to a request for encryption through, and what follows', async () => {
    const url = new URL(database.url);
    const passed = collect();
    const client = new pg.Client({
      host: '127.0.0.1',
      port: proxy.port,
      user: url.username,
      password: url.password,
      database: url.pathname.slice(1),
      ssl: true,
    });
    // This PostgreSQL knows no encryption, which is all that it says.
    await expect(client.connect()).rejects.toThrow('The server does not support SSL connections');
    expect(passed.map(({ direction, type }) => `${direction} ${type}`)).toEqual([
      'up startup',
      'down answer',
    ]);
  });

  it('takes messages in any number of pieces', async () => {
    const client = await connect();
    collect();
    const text = 'x'.repeat(3_000_000);
    const { rows: echoed } = await client.query<{ same: boolean; echo: string }>(
      'SELECT $1::text = repeat($2, 3000000) AS same, $1::text AS echo',
      [text, 'x'],
    );
    expect([echoed[0]?.same, echoed[0]?.echo === text]).toEqual([true, true]);
  });

  it('breaks what PostgreSQL does not take', async () => {
    const client = await connect();
    const { rows: found } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await database.admin.query('SELECT pg_terminate_backend($1)', [found[0]?.pid]);
    await expect(client.query('SELECT 1')).rejects.toThrow();
    await expect.poll(() => proxy.connections()).toBe(0);
  });
});

describe('a cut at a message', () => {
  /** Cuts at the first message of this type in this direction that is about adding a row. */
  function cutAt(direction: string, type: string, verdict: 'cut' | 'cut-after' = 'cut'): void {
    proxy.onMessage((passing) => {
      const isIt = passing.isCommand && passing.direction === direction && passing.type === type;
      return isIt ? verdict : undefined;
    });
  }

  it.each(['P', 'B', 'D', 'E', 'S'])('before %s goes up leaves no row, and an error', async (type) => {
    const client = await connect();
    cutAt('up', type);
    await expect(addRow(client, 1)).rejects.toThrow();
    await expect.poll(() => proxy.connections()).toBe(0);
    await sleep(100);
    expect(await rows()).toEqual([]);
  });

  it.each(['1', '2', 'C', 'Z'])('before %s comes down leaves the row, and an error', async (type) => {
    const client = await connect();
    cutAt('down', type);
    await expect(addRow(client, 1)).rejects.toThrow();
    expect(await rows()).toEqual([1]);
  });

  it('after the commit was asked for leaves the row, and an error', async () => {
    const client = await connect();
    cutAt('up', 'S', 'cut-after');
    await expect(addRow(client, 1)).rejects.toThrow();
    await expect.poll(rows).toEqual([1]);
  });

  it('after the statement was sent, but not its commit, leaves no row', async () => {
    const client = await connect();
    cutAt('up', 'E', 'cut-after');
    await expect(addRow(client, 1)).rejects.toThrow();
    await sleep(100);
    expect(await rows()).toEqual([]);
  });

  it('leaves other connections alone', async () => {
    const [one, other] = [await connect(), await connect()];
    cutAt('up', 'S');
    await expect(addRow(one, 1)).rejects.toThrow();
    proxy.onMessage(null);
    await addRow(other, 2);
    expect(await rows()).toEqual([2]);
  });
});

it('drops one message, and with it the answer', async () => {
  const client = await connect();
  proxy.onMessage(({ direction, type }) => (direction === 'down' && type === 'Z' ? 'drop' : undefined));
  expect(await stateOf(addRow(client, 1), 200)).toBe('silent');
  await expect.poll(rows).toEqual([1]);
  proxy.cut();
});

it('cuts all connections at once, and takes new ones', async () => {
  const old = await Promise.all([connect(), connect()]);
  const asking = old.map((client) => client.query('SELECT pg_sleep(10)'));
  proxy.cut();
  const ends = await Promise.allSettled(asking);
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const fresh = await connect();
  expect((await fresh.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

describe('a black hole', () => {
  it.each(['up', 'down', undefined] as const)(
    'gives no answer (%s), and loses nothing',
    async (direction) => {
      const client = await connect();
      proxy.blackHole(direction);
      const answer = addRow(client, 1);
      expect(await stateOf(answer, 300)).toBe('silent');
      await expect.poll(rows).toEqual(direction === 'down' ? [1] : []);
      proxy.heal();
      await answer;
      expect(await rows()).toEqual([1]);
      expect(proxy.connections()).toBe(1);
    },
  );

  it('swallows new connections too, and lets them through at its end', async () => {
    proxy.blackHole();
    const connecting = connect();
    expect(await stateOf(connecting, 300)).toBe('silent');
    proxy.heal();
    const client = await connecting;
    await addRow(client, 1);
    expect(await rows()).toEqual([1]);
  });
});

describe('a delay', () => {
  it.each(['up', 'down'] as const)('takes its time (%s)', async (direction) => {
    const client = await connect();
    proxy.delay(direction, 1500);
    const askedAt = performance.now();
    await client.query('SELECT 1');
    const tookMs = performance.now() - askedAt;
    expect(tookMs).toBeGreaterThan(1490);
    proxy.heal();
    // Once a machine may stand still for as long, but not each time.
    const again: number[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const startedAt = performance.now();
      await client.query('SELECT 1');
      again.push(performance.now() - startedAt);
    }
    expect(Math.min(...again)).toBeLessThan(tookMs);
  });

  it('keeps the order, however unequal it is', async () => {
    const client = await connect();
    let turn = 0;
    proxy.delay('down', () => (turn++ % 2 === 0 ? 60 : 0));
    const { rows: found } = await client.query<{ n: number }>(
      `SELECT n, repeat('x', 100) FROM generate_series(1, 20000) AS n`,
    );
    expect(turn).toBeGreaterThan(2);
    expect(found.map(({ n }) => n)).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1));
  });
});

describe('a half-closed connection', () => {
  it('ends at PostgreSQL when it is closed on the way up', async () => {
    const client = await connect();
    proxy.halfClose('up');
    await expect(addRow(client, 1)).rejects.toThrow();
    await expect.poll(() => proxy.connections()).toBe(0);
    expect(await rows()).toEqual([]);
  });

  it('tells the client when it is closed on the way down, and PostgreSQL finishes what it was told', async () => {
    const client = await connect();
    await addRow(client, 0);
    const holder = await database.admin.connect();
    try {
      await holder.query('BEGIN; SELECT FROM rows FOR UPDATE');
      const asking = client.query('UPDATE rows SET n = 1');
      await expect.poll(statementsThatWait).toEqual(['UPDATE rows SET n = 1']);
      proxy.halfClose('down');
      await expect(asking).rejects.toThrow();
      await holder.query('COMMIT');
    } finally {
      holder.release();
    }
    await expect.poll(rows).toEqual([1]);
  });
});
