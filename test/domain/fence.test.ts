// The fence: which connections may answer, when a server tells that it was promoted later than others, is in another
// cluster, or does not tell at all. What the server says of itself is put in its mouth.
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { createFence, OVERTAKEN, type Fence } from '../../src/database/fence.js';
import { openDatabase, type Database } from '../../src/database/prisma.js';
import { DatabaseUnavailable } from '../../src/database/unavailable.js';
import { FOREIGN, STANDBY } from '../../src/database/verify-connection.js';
import { acceptCluster, claimCluster } from '../../src/domain/service/cluster.js';
import { look, startLookout } from '../../src/domain/liveness/lookout.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { createTestDatabase, replaceBuiltIn, type TestDatabase } from '../support/database.js';
import { AMPLE_MS, DEFAULTS, openGatehouse } from '../support/house.js';
import { holdTables } from '../support/row-lock.js';

let server: TestDatabase;
let fence: Fence;
let timesOff: number;
let opened: Database[];

beforeEach(async () => {
  server = await createTestDatabase();
  await replace('pg_walfile_name(pg_lsn)', 'text', `'SELECT built_in_pg_walfile_name($1)'`);
  await replace(
    'pg_control_system()',
    'TABLE (system_identifier bigint)',
    `'SELECT system_identifier FROM built_in_pg_control_system()'`,
  );
  timesOff = 0;
  fence = createFence(() => (timesOff += 1));
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((each) => each.close()));
  await server.drop();
});

/** Names are looked up in `pg_catalog` first, so what the server says is replaced there. */
async function replace(signature: string, type: string, sql: string): Promise<void> {
  await replaceBuiltIn(
    (text) => server.admin.query(text),
    signature,
    `RETURNS ${type} LANGUAGE sql AS ${sql}`,
  );
}

function open(options: Parameters<typeof openDatabase>[1] = {}): Database {
  const database = openDatabase(server.url, { fence, deadlineMs: AMPLE_MS, ...options });
  opened.push(database);
  return database;
}

const openFresh = () => open({ connections: 1, isFresh: true });

/** What the server says from now on to those who connect. */
async function say({
  timeline = 1,
  identifier = '70',
}: {
  timeline?: number;
  identifier?: string;
}): Promise<void> {
  const file = timeline.toString(16).toUpperCase().padStart(8, '0').padEnd(24, '0');
  await server.admin.query(`
    CREATE OR REPLACE FUNCTION pg_catalog.pg_walfile_name(pg_lsn) RETURNS text LANGUAGE sql AS $$ SELECT '${file}' $$;
    CREATE OR REPLACE FUNCTION pg_catalog.pg_control_system() RETURNS TABLE (system_identifier bigint) LANGUAGE sql AS $$ SELECT ${identifier}::bigint $$`);
}

async function failToSay(sqlState: string): Promise<void> {
  await server.admin.query(`
    CREATE OR REPLACE FUNCTION pg_catalog.pg_control_system() RETURNS TABLE (system_identifier bigint) LANGUAGE plpgsql AS
      $$ BEGIN RAISE SQLSTATE '${sqlState}'; END $$`);
}

async function pidOf(database: Database): Promise<number> {
  const [row] = await database.query({ pid: 'int4' })`SELECT pg_backend_pid() AS pid`;
  return row?.pid ?? 0;
}

async function reason(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => new Error('it was answered'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DatabaseUnavailable);
  return (error as Error).message;
}

async function waitForStatement(text: string): Promise<void> {
  for (;;) {
    const { rows } = await server.admin.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()`,
      [text],
    );
    if (rows.length > 0) return;
  }
}

describe('a later timeline', () => {
  it.each([
    [1, 2],
    [9, 10],
    [15, 16],
    [255, 4096],
  ])(
    'than %i, as %i is, breaks off the answers that are under way, and idle connections',
    async (old, later) => {
      await say({ timeline: old });
      const [busy, idle] = [open({ connections: 1 }), open({ connections: 1 })];
      const before = [await pidOf(busy), await pidOf(idle)];
      const underWay = reason(busy.query({})`SELECT FROM pg_sleep(600)`);
      await waitForStatement('%pg_sleep(600)%');
      await say({ timeline: later });
      await look(openFresh());
      expect(await underWay).toBe(OVERTAKEN);
      expect(before).not.toContain(await pidOf(busy));
      expect(before).not.toContain(await pidOf(idle));
    },
  );

  it('is believed alone from then on: a connection to an earlier one is refused', async () => {
    await say({ timeline: 3 });
    const database = open({ connections: 1 });
    const pid = await pidOf(database);
    await say({ timeline: 2 });
    const fresh = openFresh();
    expect(await reason(look(fresh))).toBe(OVERTAKEN);
    expect(await reason(pidOf(open()))).toBe(OVERTAKEN);
    expect(await pidOf(database)).toBe(pid);
    await say({ timeline: 3 });
    await look(fresh);
    expect(await pidOf(database)).toBe(pid);
  });

  it('is heard by one connection for all pools that share the fence, lists of Prisma’s included', async () => {
    await say({ timeline: 1 });
    const database = open({ connections: 1 });
    await database.read((tables) => tables.user.findMany());
    const lock = await holdTables(server, 'users');
    const underWay = reason(database.read((tables) => tables.user.findMany()));
    await lock.queue(1);
    await say({ timeline: 2 });
    await look(openFresh());
    await underWay;
    await lock.release();
  });

  it('is heard while a commit stalls on all other connections, and by a lookout within its interval', async () => {
    await say({ timeline: 1 });
    const database = open({ connections: 1 });
    const underWay = reason(database.query({})`SELECT FROM pg_sleep(600)`);
    await waitForStatement('%pg_sleep(600)%');
    await say({ timeline: 2 });
    const stop = startLookout(openFresh());
    expect(await underWay).toBe(OVERTAKEN);
    await stop();
  });

  it('that is told to another process is not known here', async () => {
    await say({ timeline: 2 });
    const other = open({ fence: createFence() });
    await pidOf(other);
    await say({ timeline: 1 });
    await look(openFresh());
  });
});

it('a fresh connection is opened for each question', async () => {
  const fresh = openFresh();
  expect(await pidOf(fresh)).not.toBe(await pidOf(fresh));
});

describe('another cluster than the stored one', () => {
  it('is stored where none is, refused when it differs, and taken once it is accepted', async () => {
    await say({ identifier: '70' });
    await server.admin.query('UPDATE service SET system_identifier = NULL');
    const database = open({ connections: 1 });
    await claimCluster(database);
    await say({ identifier: '71' });
    expect(await reason(look(openFresh()))).toBe(FOREIGN);
    // The connection that is open leads to the cluster that is the right one.
    await claimCluster(database);
    expect(await reason(look(openFresh()))).toBe(FOREIGN);

    const operator = open({ acceptsForeign: true, fence: createFence() });
    expect(await acceptCluster(operator)).toEqual([{ before: '70', identifier: '71' }]);
    const pid = await pidOf(database);
    await look(openFresh());
    // Two clusters at once would be two truths: the one that the address leads to now is believed.
    expect(await pidOf(database)).not.toBe(pid);
    expect(await acceptCluster(operator)).toEqual([{ before: '71', identifier: '71' }]);
  });

  it('has timelines of its own', async () => {
    await say({ identifier: '70', timeline: 5 });
    await server.admin.query('UPDATE service SET system_identifier = NULL');
    await look(openFresh());
    await say({ identifier: '71', timeline: 1 });
    await look(openFresh());
    await say({ identifier: '71', timeline: 2 });
    await look(openFresh());
    await say({ identifier: '71', timeline: 1 });
    expect(await reason(look(openFresh()))).toBe(OVERTAKEN);
  });

  it('makes no difference before the table that stores it is there', async () => {
    await say({ identifier: '71' });
    await server.admin.query('ALTER TABLE service RENAME COLUMN system_identifier TO elsewhere');
    await look(openFresh());
    await server.admin.query('ALTER TABLE service RENAME TO elsewhere');
    await look(openFresh());
  });
});

describe('a server that does not tell', () => {
  it.each([
    ['as Aurora', '0A000'],
    ['for want of a right', '42501'],
    ['as it has no such function', '42883'],
    ['for a reason of its own', 'XX000'],
  ])('%s turns the fence off, once, and is believed', async (_why, sqlState) => {
    await failToSay(sqlState);
    const database = open();
    await Promise.all([pidOf(database), pidOf(database), look(openFresh())]);
    expect([fence.isOn(), database.isFenced(), timesOff]).toEqual([false, false, 1]);
    await server.admin.query('UPDATE service SET system_identifier = NULL');
    await claimCluster(database);
    await look(openFresh());
    expect(timesOff).toBe(1);
  });

  it.each([
    ['is cancelled', '57014'],
    ['shuts down', '57P01'],
    ['has no memory', '53200'],
  ])('since it %s has said nothing, and is not believed', async (_why, sqlState) => {
    await failToSay(sqlState);
    await reason(look(openFresh()));
    expect([fence.isOn(), timesOff]).toEqual([true, 0]);
  });

  it('is asked the same settings as one that tells', async () => {
    const settings = async (database: Database) =>
      await database.query({ name: 'text', value: 'text' })`
        SELECT name, setting AS value FROM pg_settings WHERE source = 'session' ORDER BY name`;
    const told = await settings(open({ readsOnly: true }));
    await failToSay('0A000');
    expect(await settings(open({ readsOnly: true, fence: createFence() }))).toEqual(told);
  });
});

it('a standby is refused before anything else is asked of it', async () => {
  await replace('pg_is_in_recovery()', 'boolean', `'SELECT true'`);
  await server.admin.query(
    `CREATE OR REPLACE FUNCTION pg_catalog.pg_walfile_name(pg_lsn) RETURNS text LANGUAGE plpgsql AS
       $$ BEGIN RAISE SQLSTATE '55000'; END $$`,
  );
  expect(await reason(look(openFresh()))).toBe(STANDBY);
  expect(fence.isOn()).toBe(true);
});

describe('/ready', () => {
  async function answerOf(database: Database): Promise<unknown> {
    const hasher = createPasswordHasher();
    const gatehouse = await openGatehouse(database, hasher);
    const app = await buildApp({ gatehouse, config: DEFAULTS, logger: pino({ level: 'silent' }) });
    const answer = (await app.inject({ url: '/ready' })).json<unknown>();
    await app.close();
    await hasher.close();
    return answer;
  }

  it('says that the fence is off', async () => {
    expect(await answerOf(open())).toEqual({ status: 'ready' });
    await failToSay('0A000');
    expect(await answerOf(open({ fence: createFence() }))).toEqual({ status: 'ready', fence: 'off' });
  });
});
