// gatehouse migrate, and what the other commands say of a database that is not as they expect it.
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';

import { gatehouse, inHouse, jsonInHouse } from '../../support/command.js';
import { onServer } from '../../support/database.js';
import { openHouse, SECRET, type House } from '../../support/house.js';

let name: string;
let environment: Record<string, string>;

beforeEach(async () => {
  name = `blank_${randomBytes(8).toString('hex')}`;
  await onServer(`CREATE DATABASE ${name}`);
  const url = new URL(inject('adminUrl'));
  url.pathname = name;
  environment = { DATABASE_URL: url.href, AUTH_SECRET: SECRET };
});
afterEach(() => onServer(`DROP DATABASE ${name} WITH (FORCE)`));

async function migrations(): Promise<string[]> {
  const entries = await readdir(new URL('../../../prisma/migrations', import.meta.url), {
    withFileTypes: true,
  });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

async function tablesOf(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(`SELECT FROM pg_tables WHERE schemaname = 'public'`);
  await client.end();
  return rows.length;
}

describe('gatehouse migrate', () => {
  it('applies what is pending and prints the names, then nothing', async () => {
    const first = await gatehouse(['migrate', '--json'], { environment });
    expect(first).toEqual({ status: 0, stderr: '', stdout: `${JSON.stringify(await migrations())}\n` });
    expect(await gatehouse(['migrate', '--json'], { environment })).toEqual({
      status: 0,
      stderr: '',
      stdout: '[]\n',
    });
    expect((await gatehouse(['migrate'], { environment })).stdout).toBe('nothing to do\n');
    expect((await gatehouse(['users', 'list', '--json'], { environment })).stdout).toBe('[]\n');
  });

  it('prints a name a line for people', async () => {
    expect((await gatehouse(['migrate'], { environment })).stdout).toBe(
      `${(await migrations()).join('\n')}\n`,
    );
  });

  it('shares the work with another that runs at the same time', async () => {
    const outcomes = await Promise.all(
      [1, 2, 3].map(() => gatehouse(['migrate', '--json'], { environment })),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([0, 0, 0]);
    const applied = outcomes.flatMap(({ stdout }) => JSON.parse(stdout) as string[]);
    expect(applied).toEqual(await migrations());
  });
});

describe('a database that lacks migrations', () => {
  it.each([
    ['users', 'list'],
    ['users', 'add', 'alice'],
    ['users', 'disable', 'alice'],
    ['clients', 'add', 'orders'],
    ['sessions', 'list', 'alice'],
    ['revocations', 'prune'],
    ['keys', 'rotate'],
  ])('is left as it is by gatehouse %s %s, which says in a line what to run', async (...args) => {
    const { status, stdout, stderr } = await gatehouse([...args, '--json'], { environment });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^gatehouse: .* run `gatehouse migrate` first\n$/);
    expect(await tablesOf(environment['DATABASE_URL'] ?? '')).toBe(0);
  });
});

describe('a database that cannot be used', () => {
  let house: House;
  beforeEach(async () => (house = await openHouse()));
  afterEach(() => house.close());

  it('is refused when a newer Gatehouse has migrated it', async () => {
    await house.database.admin.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       VALUES ('x', 'x', '29990101000000_future', now(), 1)`,
    );
    await house.database.admin.query(`UPDATE service SET must_know = '29990101000000_future'`);
    for (const args of [['migrate'], ['users', 'list']]) {
      const { status, stdout, stderr } = await inHouse(house, [...args, '--json']);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^gatehouse: .*newer Gatehouse.*29990101000000_future.*\n$/);
    }
  });

  it('is named without its password when nobody answers there', async () => {
    const unreachable = { DATABASE_URL: 'postgresql://u:hush-hush@127.0.0.1:1/nowhere' };
    for (const args of [['migrate'], ['users', 'list'], ['users', 'disable', 'alice']]) {
      const { status, stdout, stderr } = await inHouse(house, [...args, '--json'], {
        environment: unreachable,
      });
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^gatehouse: The database nowhere at 127\.0\.0\.1:1 cannot be reached\..*\n$/);
      expect(stderr).not.toContain('hush-hush');
    }
  });

  it('leaves no success on standard output when the commit fails', async () => {
    const { username } = await house.user();
    await house.database.admin.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = '53100'; END$$;
      CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse();`);
    for (const args of [
      ['users', 'disable', username],
      ['users', 'password', username],
    ]) {
      const { status, stdout, stderr } = await inHouse(house, [...args, '--json']);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^gatehouse: the database cannot be asked: /);
    }
    expect(await jsonInHouse(house, ['users', 'list'])).toMatchObject([{ username, disabled_at: null }]);
  });

  it('gives up on a database that does not answer, within its deadline', async () => {
    const { username } = await house.user();
    const blocker = await house.database.admin.connect();
    await blocker.query('BEGIN; SELECT FROM users FOR UPDATE');
    const { status, stdout, stderr } = await inHouse(house, ['users', 'disable', username, '--json'], {
      deadlineMs: 1000,
    });
    await blocker.query('ROLLBACK');
    blocker.release();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^gatehouse: the database cannot be asked: /);
    expect(await jsonInHouse(house, ['users', 'list'])).toMatchObject([{ username, disabled_at: null }]);
  });
});

it('waits until an end is on disk, whatever the database does by default', async () => {
  const house = await openHouse();
  try {
    const { username } = await house.user();
    await house.database.admin.query(`
      ALTER DATABASE ${new URL(house.database.url).pathname.slice(1)} SET synchronous_commit = off;
      CREATE TABLE noted (setting text);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NULL; END$$;
      CREATE TRIGGER note AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note();`);
    await jsonInHouse(house, ['users', 'disable', username]);
    await jsonInHouse(house, ['users', 'password', username]);
    const { rows } = await house.database.admin.query('SELECT setting FROM noted');
    expect(rows).toEqual([{ setting: 'on' }, { setting: 'on' }]);
  } finally {
    await house.close();
  }
});
