// Every setting that a database or a role can hand down, each with a value that would hurt: a life of a user is what it is without.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { migrate } from '../../../src/database/migrate.js';
import { readMigrations } from '../../../src/database/migration-files.js';
import { openDatabase } from '../../../src/database/prisma.js';
import { inHouse, jsonInHouse } from '../../support/command.js';
import { onServer } from '../../support/database.js';
import { createEmptyDatabase } from '../../support/empty-database.js';
import {
  AMPLE_MS,
  bearer,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type TestClient,
} from '../../support/house.js';

const HOSTILE: [string, string][] = [
  ['search_path', 'nowhere'],
  ['search_path', 'decoys, public, pg_catalog'],
  ['search_path', 'pg_temp, "$user"'],
  ['client_encoding', 'LATIN1'],
  ['client_encoding', 'SQL_ASCII'],
  ['timezone', 'Asia/Tokyo'],
  ['timezone', 'America/St_Johns'],
  ['datestyle', 'German'],
  ['datestyle', 'SQL, DMY'],
  ['intervalstyle', 'iso_8601'],
  ['bytea_output', 'escape'],
  ['extra_float_digits', '-15'],
  ['array_nulls', 'off'],
  ['standard_conforming_strings', 'off'],
  ['transform_null_equals', 'on'],
  ['row_security', 'on'],
  ['exit_on_error', 'on'],
  ['synchronous_commit', 'off'],
  ['default_transaction_isolation', 'serializable'],
  ['default_transaction_deferrable', 'on'],
  ['idle_in_transaction_session_timeout', '1'],
  ['idle_session_timeout', '5000'],
  ['transaction_timeout', '5000'],
  ['statement_timeout', '5000'],
  ['lock_timeout', '1'],
  ['default_tablespace', 'elsewhere'],
  ['default_table_access_method', 'heap_too'],
  ['plan_cache_mode', 'force_custom_plan'],
  ['enable_seqscan', 'off'],
  ['lc_messages', 'C'],
  ['lc_numeric', 'C'],
];

let house: House;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  client = await house.client();
  const { admin } = house.database;
  await admin.query(
    `CREATE SCHEMA decoys;
     CREATE TABLE decoys.users (id int); CREATE TABLE decoys.sessions (id int); CREATE TABLE decoys.service (id int);
     CREATE TABLE decoys._prisma_migrations (id int);
     CREATE FUNCTION decoys.gen_random_uuid() RETURNS uuid LANGUAGE sql AS $$ SELECT NULL::uuid $$;
     CREATE FUNCTION decoys.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT $2 $$;
     CREATE FUNCTION decoys.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
     CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler`,
  );
  await createTablespace();
});
afterAll(async () => {
  await house.close();
  await onServer('DROP TABLESPACE elsewhere');
});

/** Its files lie among those of the server, and no directory has to be made for them. */
async function createTablespace(): Promise<void> {
  const { admin } = house.database;
  const connection = await admin.connect();
  await connection.query('SET allow_in_place_tablespaces = on');
  await connection.query(`CREATE TABLESPACE elsewhere LOCATION ''`);
  connection.release(true);
}

const inDatabase = (url: string) => `DATABASE ${new URL(url).pathname.slice(1)}`;
const ofRole = (url: string) => `ROLE ${new URL(url).username} IN ${inDatabase(url)}`;

/** What is seen of one user from the first login to the time after the logout. */
async function live(): Promise<unknown> {
  const replica = await house.replica();
  const ask = (method: 'GET' | 'POST', url: string, token: string) =>
    replica.app.inject({ method, url, headers: bearer(token) });
  const user = await house.user();
  const before = Date.now();
  const first = await login(replica, user);
  const renewed = await refresh(replica, first.refresh_token);
  const { access_token: access, refresh_token: next } = renewed.json<typeof first>();
  const alive = (await introspect(replica, client, access)).json<{ active: boolean; username: string }>();
  const session = (await ask('GET', '/sessions', access)).json<{ sessions: { created_at: string }[] }>();
  const users = (await jsonInHouse(house, ['users', 'list'])) as { username: string; created_at: string }[];
  const clients = (await jsonInHouse(house, ['clients', 'list'])) as { created_at: string }[];
  const sessions = (await jsonInHouse(house, ['sessions', 'list', user.username])) as Record<
    string,
    string
  >[];
  const keys = await inHouse(house, ['keys', 'list']);
  const left = (await ask('POST', '/logout', access)).statusCode;
  const dead = (await introspect(replica, client, access)).json<unknown>();
  const revocations = (await jsonInHouse(house, ['revocations', 'list'])) as Record<string, string>[];
  const pruned = await inHouse(house, ['revocations', 'prune']);
  const isNow = (text: string | undefined) => Math.abs(Date.parse(text ?? '') - before) < 30 * 60_000;
  return {
    renewed: renewed.statusCode,
    alive: [alive.active, alive.username === user.username],
    listed: [
      isNow(session.sessions[0]?.created_at),
      isNow(users.find(({ username }) => username === user.username)?.created_at),
      isNow(clients[0]?.created_at),
      isNow(sessions[0]?.['created_at']),
      isNow(sessions[0]?.['last_used_at']),
      isNow(revocations[0]?.['revoked_at']),
    ],
    keys: keys.status,
    left,
    dead,
    refused: (await refresh(replica, next)).statusCode,
    pruned: pruned.status,
    ready: (await replica.app.inject({ url: '/ready' })).statusCode,
  };
}

const LIFE = {
  renewed: 200,
  alive: [true, true],
  listed: [true, true, true, true, true, true],
  keys: 0,
  left: 204,
  dead: { active: false },
  refused: 401,
  pruned: 0,
  ready: 200,
};

it('without any of them, a life is as it is expected below', async () => {
  expect(await live()).toEqual(LIFE);
});

async function liveWith(where: string, settings: [string, string][]): Promise<unknown> {
  try {
    for (const [name, value] of settings)
      await onServer(`ALTER ${where} SET ${name} = ${name === 'search_path' ? value : `'${value}'`}`);
    return await live();
  } finally {
    for (const [name] of settings) await onServer(`ALTER ${where} RESET ${name}`);
  }
}

describe('where the database says', () => {
  it.each(HOSTILE)('%s = %s, a life of a user is as ever', async (name, value) => {
    expect(await liveWith(inDatabase(house.database.url), [[name, value]])).toEqual(LIFE);
  });
});

// What a role says comes the same way as what a database says, and before it: each setting was alone above.
describe('where the role says', () => {
  const names = HOSTILE.map(([name]) => name);
  const nth = (rank: number) =>
    HOSTILE.filter(([name], at) => names.slice(0, at).filter((before) => before === name).length === rank);
  const sets = [0, 1, 2].map(nth);

  it.each(sets)('%s and all that come with it, a life of a user is as ever', async (...settings) => {
    expect(await liveWith(ofRole(house.database.url), settings)).toEqual(LIFE);
  });

  it('each of them', () => {
    expect(sets.flat()).toHaveLength(HOSTILE.length);
  });
});

it('every time is exact to the microsecond, in any zone', async () => {
  const where = inDatabase(house.database.url);
  await onServer(`ALTER ${where} SET extra_float_digits = -15`);
  const database = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
  const rows = await database.query({ now: 'float8' })`SELECT 1796000000.123456::float8 AS now`;
  await database.close();
  await onServer(`ALTER ${where} RESET extra_float_digits`);
  expect(rows).toEqual([{ now: 1_796_000_000.123_456 }]);
});

describe('a migration', () => {
  const later = async (sql: string) => [...(await readMigrations()), { name: '99990101000000_later', sql }];

  it('takes longer than the database lets a statement or a transaction take', async () => {
    const empty = await createEmptyDatabase();
    for (const name of ['statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout'])
      await onServer(`ALTER ${inDatabase(empty.url)} SET ${name} = '3s'`);
    expect(await migrate(empty.url, await later('SELECT pg_sleep(3.5)'))).toContain('99990101000000_later');
    await empty.drop();
  });

  it('waits for a lock longer than the database lets others wait', async () => {
    const empty = await createEmptyDatabase();
    await migrate(empty.url);
    await onServer(`ALTER ${inDatabase(empty.url)} SET lock_timeout = '1ms'`);
    const migrations = await later(
      `DO $$ BEGIN ASSERT current_setting('lock_timeout') = '0', 'it would give up'; END $$`,
    );
    expect(await migrate(empty.url, migrations)).toEqual(['99990101000000_later']);
    await empty.drop();
  });

  it('puts its tables where PostgreSQL puts them by itself', async () => {
    const empty = await createEmptyDatabase();
    await empty.query('CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler');
    await onServer(`ALTER ${inDatabase(empty.url)} SET default_tablespace = elsewhere`);
    await onServer(`ALTER ${inDatabase(empty.url)} SET default_table_access_method = heap_too`);
    await migrate(empty.url);
    const odd = await empty.query(
      `SELECT relname FROM pg_class JOIN pg_am ON pg_am.oid = relam
       WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND (reltablespace <> 0 OR amname <> 'heap')`,
    );
    await empty.drop();
    expect(odd).toEqual([]);
  });
});
