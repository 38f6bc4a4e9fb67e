// Migrations at start: applied once, whole or not at all, and written down as Prisma's own tools do.
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { applyAsPrisma, diagnoseHistory, diffMigrations } from '../../../scripts/schema-engine.js';
import { refuseVersion } from '../../../src/database/first-connection.js';
import * as migrations from '../../../src/database/migrate.js';
import { readMigrations, type Migration } from '../../../src/database/migration-files.js';
import { StartError } from '../../../src/database/start-error.js';
import { FOREIGN } from '../../../src/database/verify-connection.js';
import { createTestDatabase, onServer, replaceBuiltIn, type TestDatabase } from '../../support/database.js';
import { createEmptyDatabase } from '../../support/empty-database.js';

/** Migrations that a later build might bring, after those that this one has. */
let later: Migration[] = [];
afterEach(() => {
  later = [];
});

const migrate = async (url: string) => migrations.migrate(url, [...(await readMigrations()), ...later]);
const listPending = async (url: string) =>
  migrations.listPending(url, [...(await readMigrations()), ...later]);

function urlWith(change: (url: URL) => void): string {
  const url = new URL(inject('adminUrl'));
  change(url);
  return url.href;
}

async function listMigrations(): Promise<string[]> {
  return (await readMigrations()).map(({ name }) => name);
}

/** Lets the next start find one more migration. */
function addLater(sql: string): Migration {
  const migration = { name: `9999010100000${later.length}_later`, sql };
  later.push(migration);
  return migration;
}

async function refusal(url: string): Promise<string> {
  const error: unknown = await migrate(url).then(
    () => new Error('it migrated'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StartError);
  const { message } = error as StartError;
  expect(message).not.toContain('\n');
  expect(message).not.toContain(new URL(inject('adminUrl')).password);
  return message;
}

async function run(url: string, sql: string): Promise<pg.QueryResult<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query<Record<string, unknown>>(sql);
  } finally {
    await client.end();
  }
}

/** An empty database for one test. */
async function withEmptyDatabase(use: (url: string) => Promise<void>): Promise<void> {
  const { url, drop } = await createEmptyDatabase();
  try {
    await use(url);
  } finally {
    await drop();
  }
}

describe('migrate', () => {
  it('lets one of three replicas apply when all start at once', async () => {
    await withEmptyDatabase(async (url) => {
      const results = await Promise.all([migrate(url), migrate(url), migrate(url)]);
      const applied = results.filter((names) => names.length > 0);
      expect(applied).toHaveLength(1);
      expect(applied[0]).toEqual(await listMigrations());
      const { rows } = await run(url, 'SELECT id, epoch FROM service');
      expect(rows).toEqual([{ id: true, epoch: '0' }]);
      const history = await run(url, 'SELECT migration_name FROM _prisma_migrations ORDER BY started_at');
      expect(history.rows.map((row) => row['migration_name'])).toEqual(await listMigrations());
    });
  });

  it('leaves exactly what schema.prisma describes', async () => {
    await withEmptyDatabase(async (url) => {
      expect(await diffMigrations(url)).toBe('');
    });
  });

  it('keeps service at one row', async () => {
    await withEmptyDatabase(async (url) => {
      await migrate(url);
      await expect(run(url, 'INSERT INTO service (id) VALUES (true)')).rejects.toThrow(/service_pkey/);
      await expect(run(url, 'INSERT INTO service (id) VALUES (false)')).rejects.toThrow(/service_is_one_row/);
    });
  });

  it('keeps beat at one row', async () => {
    await withEmptyDatabase(async (url) => {
      await migrate(url);
      await expect(run(url, 'INSERT INTO beat (beaten_at) VALUES (now())')).rejects.toThrow(/beat_pkey/);
      await expect(run(url, 'INSERT INTO beat (id, beaten_at) VALUES (false, now())')).rejects.toThrow(
        /beat_is_one_row/,
      );
    });
  });

  it.each([
    ['the last rotation', `now() - interval '1 hour'`, /^01:00:0/],
    ['now, where a rotation is said to come', `now() + interval '1 hour'`, /^00:00:0/],
    ['now, where there was none', null, /^00:00:0/],
  ])('takes for the last beat of a release that does not beat %s', async (_what, rotatedAt, age) => {
    await withEmptyDatabase(async (url) => {
      const all = await readMigrations();
      const before = all.filter(({ name }) => !name.endsWith('_beat'));
      await migrations.migrate(
        url,
        before.slice(
          0,
          all.findIndex(({ name }) => name.endsWith('_beat')),
        ),
      );
      if (rotatedAt !== null) {
        await run(
          url,
          `INSERT INTO users (id, username, password_hash, created_at) VALUES (gen_random_uuid(), 'ann', '', now());
           INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
           SELECT gen_random_uuid(), id, 0, now() - interval '1 day', rotated, now(), now()
           FROM users, (VALUES (${rotatedAt}), (now() - interval '1 day')) AS those (rotated)`,
        );
      }
      await migrate(url);
      const { rows } = await run(
        url,
        'SELECT (clock_timestamp() - beaten_at)::text AS age, answering_since, answered_until FROM beat',
      );
      expect(rows).toEqual([
        { age: expect.stringMatching(age) as string, answering_since: null, answered_until: null },
      ]);
    });
  });

  it('applies as a role that owns the database and is no superuser', async () => {
    await onServer(`CREATE ROLE owner LOGIN PASSWORD 'owner-secret'`);
    await onServer('CREATE DATABASE owned OWNER owner');
    const url = urlWith((u) => {
      u.username = 'owner';
      u.password = 'owner-secret';
      u.pathname = 'owned';
    });
    expect(await migrate(url)).toEqual(await listMigrations());
    await onServer('DROP DATABASE owned');
    await onServer('DROP ROLE owner');
  });
});

describe('migrate on a database that is up to date', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it('finds nothing to do', async () => {
    expect(await migrate(database.url)).toEqual([]);
    expect(await listPending(database.url)).toEqual([]);
  });

  it('refuses what a newer Gatehouse migrated', async () => {
    await database.admin.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('x', '', '99990101000000_future', now())`,
    );
    const [old] = (
      await database.admin.query<{ must_know: string }>(
        `UPDATE service SET must_know = '99990101000000_future' RETURNING (SELECT must_know FROM service)`,
      )
    ).rows;
    expect(await refusal(database.url)).toMatch(/newer Gatehouse \(99990101000000_future/);
    await database.admin.query(`UPDATE service SET must_know = $1`, [old?.must_know]);
  });

  it('takes what a newer Gatehouse has only added to', async () => {
    expect(await listPending(database.url)).toEqual([]);
    expect(await migrate(database.url)).toEqual([]);
  });

  it('refuses what a newer Gatehouse has begun and not finished', async () => {
    await database.admin.query(`UPDATE _prisma_migrations SET finished_at = NULL WHERE id = 'x'`);
    expect(await refusal(database.url)).toMatch(/newer Gatehouse \(99990101000000_future/);
    await database.admin.query(`UPDATE _prisma_migrations SET finished_at = now() WHERE id = 'x'`);
  });

  it('refuses what a newer Gatehouse migrated and does not say who can live with it', async () => {
    await database.admin.query('ALTER TABLE service RENAME must_know TO elsewhere');
    expect(await refusal(database.url)).toMatch(/newer Gatehouse \(99990101000000_future/);
    await database.admin.query('ALTER TABLE service RENAME elsewhere TO must_know');
    await database.admin.query(`DELETE FROM _prisma_migrations WHERE id = 'x'`);
  });

  it('says which migration failed, why, and what to do', async () => {
    await database.admin.query(`UPDATE _prisma_migrations SET finished_at = NULL, logs = 'ERROR: disk full'`);
    expect(await refusal(database.url)).toMatch(/_init failed \(ERROR: disk full\).*rolled_back_at/);
    await database.admin.query(`UPDATE _prisma_migrations SET finished_at = now()`);
  });

  it('refuses a read-only database', async () => {
    const name = new URL(database.url).pathname.slice(1);
    await onServer(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    expect(await refusal(database.url)).toMatch(/is read-only/);
    await onServer(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
  });
});

describe('a database whose stored cluster is another one', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
    addLater('CREATE TABLE later (a int)');
  });
  afterEach(() => database.drop());

  async function isMigrated(): Promise<boolean> {
    const { rows } = await database.admin.query<{ isThere: boolean }>(
      `SELECT to_regclass('public.later') IS NOT NULL AS "isThere"`,
    );
    return rows[0]?.isThere === true;
  }

  it('is refused, and has not been migrated', async () => {
    await database.admin.query(`UPDATE service SET system_identifier = '7000000000000000001'`);
    expect(await refusal(database.url)).toBe(FOREIGN);
    await expect(listPending(database.url)).rejects.toThrow(FOREIGN);
    expect(await isMigrated()).toBe(false);
  });

  it('is refused as that, also where a newer Gatehouse has migrated it', async () => {
    await database.admin.query(
      `UPDATE service SET system_identifier = '7000000000000000001', must_know = '99990101000000_future';
       INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('x', '', '99990101000000_future', now())`,
    );
    expect(await refusal(database.url)).toBe(FOREIGN);
  });

  it.each([
    ['no cluster is stored', 'UPDATE service SET system_identifier = NULL'],
    [
      'this cluster is stored',
      'UPDATE service SET system_identifier = (SELECT system_identifier::text FROM pg_control_system())',
    ],
    ['nothing stores one yet', 'ALTER TABLE service RENAME system_identifier TO elsewhere'],
  ])('is none where %s', async (_what, sql) => {
    await database.admin.query(sql);
    expect(await migrate(database.url)).toHaveLength(1);
    expect(await isMigrated()).toBe(true);
  });

  it('is not found where the server does not tell', async () => {
    await database.admin.query(`UPDATE service SET system_identifier = '7000000000000000001'`);
    await replaceBuiltIn(
      (sql) => database.admin.query(sql),
      'pg_control_system()',
      `RETURNS TABLE (system_identifier bigint) LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '0A000'; END $$`,
    );
    expect(await migrate(database.url)).toHaveLength(1);
  });
});

describe('the history', () => {
  /** What there is to compare: ids are random, and times differ. */
  async function describeHistory(url: string): Promise<unknown> {
    const columns = await run(
      url,
      `SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull, pg_get_expr(adbin, adrelid) AS def
       FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
       WHERE attrelid = 'public._prisma_migrations'::regclass AND attnum > 0 ORDER BY attnum`,
    );
    const indexes = await run(
      url,
      `SELECT indexdef FROM pg_indexes WHERE tablename = '_prisma_migrations' ORDER BY 1`,
    );
    const rows = await run(
      url,
      `SELECT migration_name, checksum, logs, rolled_back_at, applied_steps_count, length(id) AS id,
              finished_at >= started_at AS is_finished
       FROM _prisma_migrations ORDER BY started_at`,
    );
    return { columns: columns.rows, indexes: indexes.rows, rows: rows.rows };
  }

  it('is that of Prisma’s own engine, column by column and row by row', async () => {
    await withEmptyDatabase(async (ours) => {
      await migrate(ours);
      await withEmptyDatabase(async (prismas) => {
        expect(await applyAsPrisma(prismas)).toEqual(await listMigrations());
        expect(await describeHistory(ours)).toEqual(await describeHistory(prismas));
        expect(await migrate(prismas)).toEqual([]);
      });
    });
  });

  it('is accepted by Prisma’s own engine', async () => {
    await withEmptyDatabase(async (url) => {
      await migrate(url);
      expect(await diagnoseHistory(url)).toEqual({
        editedMigrationNames: [],
        failedMigrationNames: [],
        hasMigrationsTable: true,
        history: null,
      });
      expect(await applyAsPrisma(url)).toEqual([]);
    });
  });

  it('that Prisma’s own engine left after a failure is understood', async () => {
    await withEmptyDatabase(async (url) => {
      await run(url, 'CREATE TYPE signing_keys AS (mine int)');
      await expect(applyAsPrisma(url)).rejects.toThrow();
      expect(await refusal(url)).toMatch(/_init failed \(.*signing_keys.*\).*SET rolled_back_at/);
      await run(url, 'DROP TYPE signing_keys');
      await run(url, 'UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL');
      expect(await migrate(url)).toEqual(await listMigrations());
    });
  });
});

describe('an edited migration', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  async function applied(sql: string): Promise<Migration> {
    const migration = addLater(sql);
    expect(await migrate(database.url)).toEqual([migration.name]);
    return migration;
  }

  it.each([
    ['another statement', 'CREATE TABLE edited (a int, b int);\n'],
    ['another comment', 'CREATE TABLE edited (a int); -- new\n'],
    ['nothing at all', ''],
  ])('with %s is refused, and named', async (_, sql) => {
    const migration = await applied('CREATE TABLE edited (a int);\n');
    migration.sql = sql;
    const wanted = new RegExp(
      `Migration ${migration.name} was edited after it was applied.*Restore prisma/migrations`,
    );
    expect(await refusal(database.url)).toMatch(wanted);
    await expect(listPending(database.url)).rejects.toThrow(wanted);
  });

  it.each([
    ['Windows', 'CREATE TABLE edited (\n  a int\n);\n', 'CREATE TABLE edited (\r\n  a int\r\n);\r\n'],
    ['Unix', 'CREATE TABLE edited (\r\n  a int\r\n);\r\n', 'CREATE TABLE edited (\n  a int\n);\n'],
  ])('is none when only the ends of its lines are those of %s now', async (_, before, after) => {
    const migration = await applied(before);
    migration.sql = after;
    expect(await migrate(database.url)).toEqual([]);
  });

  it('may be applied in its new wording where it failed before', async () => {
    const migration = addLater('CREATE TABLE edited (a nonsense)');
    expect(await refusal(database.url)).toContain(migration.name);
    migration.sql = 'CREATE TABLE edited (a int)';
    expect(await migrate(database.url)).toEqual([migration.name]);
  });
});

describe('a migration that fails', () => {
  it('is named with PostgreSQL’s reason, and nothing of it stays behind', async () => {
    await withEmptyDatabase(async (url) => {
      await run(url, 'CREATE TYPE signing_keys AS (mine int)');
      expect(await refusal(url)).toMatch(
        /_init failed and changed nothing \(.*signing_keys.*\)\. Remove the cause/,
      );
      const { rows } = await run(
        url,
        `SELECT to_regclass('users') AS users, to_regclass('_prisma_migrations') AS history`,
      );
      expect(rows).toEqual([{ users: null, history: null }]);
      await run(url, 'DROP TYPE signing_keys');
      expect(await migrate(url)).toEqual(await listMigrations());
    });
  });

  it('leaves those before it applied, and is the first of the next start', async () => {
    await withEmptyDatabase(async (url) => {
      const before = await listMigrations();
      const failing = addLater('CREATE TABLE half (a int); SELECT 1 / 0; CREATE TABLE other_half (a int)');
      const last = addLater('CREATE TABLE last (a int)');
      expect(await refusal(url)).toContain(
        `Migration ${failing.name} failed and changed nothing (division by zero)`,
      );
      const { rows } = await run(
        url,
        `SELECT to_regclass('half') AS half, to_regclass('last') AS last, count(*)::int AS applied FROM _prisma_migrations`,
      );
      expect(rows).toEqual([{ half: null, last: null, applied: before.length }]);
      failing.sql = 'CREATE TABLE half (a int)';
      expect(await migrate(url)).toEqual([failing.name, last.name]);
    });
  });

  it('at its commit leaves nothing behind either', async () => {
    await withEmptyDatabase(async (url) => {
      const failing = addLater(
        `CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO late VALUES (1), (1)`,
      );
      expect(await refusal(url)).toContain(
        `Migration ${failing.name} failed and changed nothing (duplicate key`,
      );
      const { rows } = await run(
        url,
        `SELECT to_regclass('late') AS late, bool_or(migration_name = '${failing.name}') AS written FROM _prisma_migrations`,
      );
      expect(rows).toEqual([{ late: null, written: false }]);
    });
  });

  it('because it cannot run in a transaction says so', async () => {
    await withEmptyDatabase(async (url) => {
      const { name } = addLater('CREATE INDEX CONCURRENTLY users_scope ON users (scope)');
      expect(await refusal(url)).toMatch(
        new RegExp(`Migration ${name} failed and changed nothing \\(CREATE INDEX CONCURRENTLY cannot`),
      );
    });
  });

  it('because its connection ends leaves nothing behind, and lets the replica that waits go on', async () => {
    await withEmptyDatabase(async (url) => {
      const slow = addLater('CREATE TABLE half (a int); SELECT pg_sleep(600)');
      const database = new URL(url).pathname.slice(1);
      const ended = refusal(url);
      await waitFor(database, `query LIKE '%pg_sleep(600)%' AND wait_event = 'PgSleep'`);
      slow.sql = 'CREATE TABLE half (a int)';
      const waiting = migrate(url);
      await waitFor(database, `wait_event = 'advisory'`);
      await onServer(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()`,
      );
      expect(await ended).toContain(slow.name);
      expect(await waiting).toEqual([slow.name]);
    });
  });

  /** Waits for a connection to the database that does this. */
  async function waitFor(database: string, doing: string): Promise<void> {
    const sql = `SELECT count(*)::int AS found FROM pg_stat_activity WHERE datname = '${database}' AND ${doing}`;
    await expect.poll(async () => (await run(inject('adminUrl'), sql)).rows).toEqual([{ found: 1 }]);
  }
});

describe('a migration', () => {
  it('is applied whole, whatever stands in its strings, bodies and comments', async () => {
    const database = await createTestDatabase();
    addLater(`
      -- a comment; CREATE TABLE not_me (a int);
      /* and another; one */
      CREATE TABLE semicolons (a text DEFAULT 'one; two', b text DEFAULT $$three; four$$);
      CREATE FUNCTION five() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN RETURN 5; END; $body$;
      INSERT INTO semicolons DEFAULT VALUES;
      -- no end of line; here`);
    await migrate(database.url);
    const { rows } = await run(
      database.url,
      `SELECT a, b, five(), to_regclass('not_me') AS not_me FROM semicolons`,
    );
    expect(rows).toEqual([{ a: 'one; two', b: 'three; four', five: 5, not_me: null }]);
    await database.drop();
  });

  it('leaves beginning and end of its transaction to the service', async () => {
    const control =
      /^\s*(?:BEGIN|COMMIT|END|ROLLBACK|ABORT|START\s+TRANSACTION|SAVEPOINT\s+\w+)\s*;|\bCONCURRENTLY\b/im;
    for (const { name, sql } of await readMigrations())
      expect({ name, found: control.exec(sql)?.[0] }).toEqual({ name });
  });
});

describe('migrate refuses', () => {
  it('a PostgreSQL older than 15', () => {
    expect(() => refuseVersion(140_011)).toThrow(
      new StartError('PostgreSQL 14.11 is too old. Gatehouse needs PostgreSQL 15 or newer.'),
    );
    expect(() => refuseVersion(150_000)).not.toThrow();
  });

  it('a wrong password', async () => {
    expect(await refusal(urlWith((url) => (url.password = 'wrong')))).toMatch(/refuses the user or password/);
  });

  it('a URL without a password', async () => {
    expect(await refusal(urlWith((url) => (url.password = '')))).toMatch(/refuses the user or password/);
  });

  it('a database that does not exist', async () => {
    expect(await refusal(urlWith((url) => (url.pathname = 'nowhere')))).toMatch(
      /nowhere at .* does not exist/,
    );
  });

  it('a server that is not there', async () => {
    expect(await refusal(urlWith((url) => (url.port = '1')))).toMatch(/127\.0\.0\.1:1 cannot be reached/);
    expect(await refusal(urlWith((url) => (url.hostname = 'nowhere.invalid')))).toMatch(/cannot be found/);
  });

  it('what is no URL', async () => {
    expect(await refusal('postgresql://a:secret@[')).toMatch(/not a PostgreSQL URL/);
  });

  it.each(['CREATE TABLE orders (id int)', 'CREATE TABLE orders (id int) PARTITION BY RANGE (id)'])(
    'a database with tables of something else: %s',
    async (sql) => {
      await withEmptyDatabase(async (url) => {
        await run(url, sql);
        expect(await refusal(url)).toMatch(/empty_\w+ at .* holds tables of something else/);
      });
    },
  );

  it('no database for what else is there: an extension’s table, another schema, a function', async () => {
    await withEmptyDatabase(async (url) => {
      await run(
        url,
        `CREATE TABLE spatial_ref_sys (id int); ALTER EXTENSION plpgsql ADD TABLE spatial_ref_sys;
         CREATE SCHEMA other; CREATE TABLE other.orders (id int);
         CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      );
      expect(await migrate(url)).toEqual(await listMigrations());
    });
  });

  it('a role that may not create tables', async () => {
    await withEmptyDatabase(async (url) => {
      await onServer(`CREATE ROLE guest LOGIN PASSWORD 'guest-secret'`);
      const guest = new URL(url);
      guest.username = 'guest';
      guest.password = 'guest-secret';
      expect(await refusal(guest.href)).toMatch(/does not let this user create tables in its schema public/);
      await onServer('DROP ROLE guest');
    });
  });
});
