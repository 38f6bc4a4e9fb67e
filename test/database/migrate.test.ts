import { readdir } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { refuseVersion } from '../../src/database/first-connection.js';
import { migrate } from '../../src/database/migrate.js';
import { diffMigrations } from '../../src/database/schema-engine.js';
import { StartError } from '../../src/database/start-error.js';
import { createTestDatabase, onServer, type TestDatabase } from '../support/database.js';

const loads = vi.hoisted(() => ({ count: 0 }));
vi.mock(import('../../src/database/schema-engine.js'), async (original) => {
  const engine = await original();
  return {
    ...engine,
    applyMigrations: (...args: Parameters<typeof engine.applyMigrations>) => {
      loads.count += 1;
      return engine.applyMigrations(...args);
    },
  };
});

function urlWith(change: (url: URL) => void): string {
  const url = new URL(inject('adminUrl'));
  change(url);
  return url.href;
}

async function listMigrations(): Promise<string[]> {
  const entries = await readdir('prisma/migrations', { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
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
  return client.query<Record<string, unknown>>(sql).finally(() => client.end());
}

/** An empty database for one test. */
async function withEmptyDatabase(use: (url: string) => Promise<void>): Promise<void> {
  const name = `empty_${Math.random().toString(36).slice(2)}`;
  await onServer(`CREATE DATABASE ${name}`);
  try {
    await use(urlWith((url) => (url.pathname = name)));
  } finally {
    await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
  }
}

describe('migrate', () => {
  it('lets one of three replicas apply when all start at once', async () => {
    await withEmptyDatabase(async (url) => {
      const before = loads.count;
      const results = await Promise.all([migrate(url), migrate(url), migrate(url)]);
      expect(loads.count - before).toBe(1);
      const applied = results.filter((names) => names.length > 0);
      expect(applied).toHaveLength(1);
      expect(applied[0]).toEqual(await listMigrations());
      const { rows } = await run(url, 'SELECT id, epoch FROM service');
      expect(rows).toEqual([{ id: true, epoch: '0' }]);
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

  it('finds nothing to do, without loading the schema engine', async () => {
    const before = loads.count;
    expect(await migrate(database.url)).toEqual([]);
    expect(loads.count).toBe(before);
  });

  it('refuses what a newer Gatehouse migrated', async () => {
    await database.admin.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('x', '', '99990101000000_future', now())`,
    );
    expect(await refusal(database.url)).toMatch(/newer Gatehouse \(99990101000000_future/);
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

describe('migrate on a database that fails', () => {
  it('names the migration, its reason, and leaves nothing of it behind', async () => {
    await withEmptyDatabase(async (url) => {
      await run(url, 'CREATE TYPE signing_keys AS (mine int)');
      expect(await refusal(url)).toMatch(/_init failed \(.*signing_keys/);
      const { rows } = await run(url, `SELECT to_regclass('users') AS users`);
      expect(rows).toEqual([{ users: null }]);
      await run(
        url,
        'DROP TYPE signing_keys; UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL',
      );
      expect(await migrate(url)).toEqual(await listMigrations());
    });
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

  it('a database with tables of something else', async () => {
    await withEmptyDatabase(async (url) => {
      await run(url, 'CREATE TABLE orders (id int)');
      expect(await refusal(url)).toMatch(/holds tables of something else/);
    });
  });

  it('a role that may not create tables', async () => {
    await withEmptyDatabase(async (url) => {
      await onServer(`CREATE ROLE guest LOGIN PASSWORD 'guest-secret'`);
      const guest = new URL(url);
      guest.username = 'guest';
      guest.password = 'guest-secret';
      expect(await refusal(guest.href)).toMatch(/does not let this user change its tables/);
      await onServer('DROP ROLE guest');
    });
  });
});
