// Where the tables are: in the schema public, wherever role and database look first, and what is said where that cannot be.
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';

import { migrate, listPending } from '../../../src/database/migrate.js';
import { onServer } from '../../support/database.js';
import { createEmptyDatabase, type EmptyDatabase } from '../../support/empty-database.js';

const clearing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clear of clearing.splice(0).reverse()) await clear();
});

/** An empty database, and its URL for a role that is no superuser and owns nothing. */
async function createGuest(): Promise<EmptyDatabase & { role: string; guestUrl: string }> {
  const empty = await createEmptyDatabase();
  const role = `guest_${randomBytes(6).toString('hex')}`;
  await onServer(`CREATE ROLE ${role} LOGIN PASSWORD 'guest-secret'`);
  clearing.push(
    () => onServer(`DROP ROLE ${role}`),
    () => empty.drop(),
  );
  const url = new URL(empty.url);
  url.username = role;
  url.password = 'guest-secret';
  return { ...empty, role, guestUrl: url.href };
}

const schemasOf = (empty: EmptyDatabase) =>
  empty.query<{ schema: string }>(
    `SELECT DISTINCT relnamespace::regnamespace::text AS schema FROM pg_class
     WHERE relname IN ('_prisma_migrations', 'users', 'sessions', 'service') AND relkind = 'r'`,
  );

describe('all tables are in public, and a second start finds them', () => {
  it.each([
    ['a schema is named like the role', (role: string) => [`CREATE SCHEMA AUTHORIZATION ${role}`]],
    [
      'the role looks elsewhere first',
      (role: string) => [
        `CREATE SCHEMA elsewhere AUTHORIZATION ${role}`,
        `ALTER ROLE ${role} SET search_path = elsewhere, public`,
      ],
    ],
    [
      'the database does not look in public',
      (role: string, name: string) => [
        `CREATE SCHEMA elsewhere AUTHORIZATION ${role}`,
        `ALTER DATABASE ${name} SET search_path = elsewhere`,
      ],
    ],
    ['the role looks nowhere', (role: string) => [`ALTER ROLE ${role} SET search_path = ''`]],
  ])('where %s', async (_what, prepare) => {
    const guest = await createGuest();
    await guest.query(`GRANT USAGE, CREATE ON SCHEMA public TO ${guest.role}`);
    for (const sql of prepare(guest.role, guest.name)) await guest.query(sql);
    expect(await migrate(guest.guestUrl)).not.toEqual([]);
    expect(await migrate(guest.guestUrl)).toEqual([]);
    expect(await listPending(guest.guestUrl)).toEqual([]);
    expect(await schemasOf(guest)).toEqual([{ schema: 'public' }]);
  });
});

describe('the start is refused with the command that mends it', () => {
  const refusal = async (url: string) =>
    await migrate(url).then(
      () => 'it started',
      (error: unknown) => (error as Error).message,
    );
  /** The command that a message ends with. */
  const commandIn = (message: string) =>
    /: ((?:GRANT|CREATE|ALTER) .+?)\.(?: Or run .*)?$/.exec(message)?.[1] ?? '';

  it.each([
    [
      'the role may not create there',
      (): string[] => [],
      /does not let this user create tables in its schema public/,
    ],
    [
      'the role may not even look there',
      () => ['REVOKE ALL ON SCHEMA public FROM public'],
      /does not let this user use its schema public/,
    ],
  ])('where %s', async (_what, prepare, words) => {
    const guest = await createGuest();
    for (const sql of prepare()) await guest.query(sql);
    const message = await refusal(guest.guestUrl);
    expect(message).toMatch(words);
    await guest.query(commandIn(message));
    expect(await refusal(guest.guestUrl)).toBe('it started');
  });

  it('where there is no schema public', async () => {
    const guest = await createGuest();
    await guest.query('DROP SCHEMA public');
    const message = await refusal(guest.guestUrl);
    expect(message).toMatch(/has no schema public/);
    await guest.query(commandIn(message));
    expect(await refusal(guest.guestUrl)).toBe('it started');
  });

  it('where foreign keys are switched off', async () => {
    const guest = await createGuest();
    await guest.query(`ALTER DATABASE ${guest.name} SET session_replication_role = replica`);
    const message = await refusal(guest.guestUrl);
    expect(message).toMatch(/has its foreign keys switched off/);
    for (const sql of commandIn(message).split('; ')) await guest.query(sql);
    await guest.query(`GRANT CREATE ON SCHEMA public TO ${guest.role}`);
    expect(await refusal(guest.guestUrl)).toBe('it started');
  });

  it.each(['LATIN1', 'SQL_ASCII', 'EUC_JP'])('where the encoding is %s', async (encoding) => {
    const guest = await createGuest();
    const name = `wrong_${randomBytes(6).toString('hex')}`;
    await onServer(
      `CREATE DATABASE ${name} OWNER ${guest.role} ENCODING '${encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0`,
    );
    clearing.push(() => onServer(`DROP DATABASE ${name} WITH (FORCE)`));
    const url = new URL(guest.guestUrl);
    url.pathname = name;
    const message = await refusal(url.href);
    expect(message).toContain(`has the encoding ${encoding}, and Gatehouse needs UTF8`);
    await onServer(commandIn(message));
    clearing.push(() => onServer('DROP DATABASE gatehouse_utf8 WITH (FORCE)'));
    url.pathname = 'gatehouse_utf8';
    expect(await refusal(url.href)).toBe('it started');
  });

  it('where an older Gatehouse has put the tables elsewhere', async () => {
    const guest = await createGuest();
    await guest.query(`GRANT USAGE, CREATE ON SCHEMA public TO ${guest.role}`);
    await migrate(guest.guestUrl);
    await guest.query(`CREATE SCHEMA other AUTHORIZATION ${guest.role}`);
    const tables = [
      'users',
      'sessions',
      'revocations',
      'signing_keys',
      'clients',
      'service',
      'login_attempts',
    ];
    const move = async (to: string, from: string) => {
      for (const table of tables) await guest.query(`ALTER TABLE ${from}.${table} SET SCHEMA ${to}`);
      await guest.query(`ALTER TYPE ${from}.revocation_kind SET SCHEMA ${to}`);
    };
    await move('other', 'public');
    expect(await refusal(guest.guestUrl)).toMatch(
      /are missing in the schema public.*ALTER TABLE other\.users/,
    );
    await move('public', 'other');
    expect(await refusal(guest.guestUrl)).toBe('it started');
  });
});
