// A service that cannot start says in one line what is wrong and what to do, and ends with status 1.
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { readConfig } from '../../../src/config/config.js';
import { migrate } from '../../../src/database/migrate.js';
import { writeExplanation } from '../../../src/process/explain.js';
import { gatehouse } from '../../support/command.js';
import { replaceBuiltIn } from '../../support/database.js';
import { createEmptyDatabase, type EmptyDatabase } from '../../support/empty-database.js';
import { openHouse } from '../../support/house.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { createWorkshop, environmentFor } from '../../support/service.js';

const workshop = createWorkshop();
let database: EmptyDatabase;

beforeAll(async () => {
  database = await createEmptyDatabase();
});
afterAll(async () => {
  await workshop.clear();
  await database.drop();
});

/** What a start says on standard error that ends with status 1. */
async function linesOfStart(environment: Record<string, string>): Promise<string[]> {
  const service = await workshop.spawn(environment);
  expect((await service.exited).code).toBe(1);
  return service.output.stderr.trimEnd().split('\n');
}

/** What a start says of a database: the service asks it this way before all else, and ends with these words. */
async function linesOn(url: string): Promise<string[]> {
  const { databaseUrl } = readConfig(environmentFor(url));
  const error: unknown = await migrate(databaseUrl ?? '').then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return writeExplanation(error).trimEnd().split('\n');
}

/** The database’s URL with something else in it. */
function urlWith(change: (url: URL) => void): string {
  const url = new URL(database.url);
  change(url);
  return url.href;
}

function expectLine(lines: string[], line: RegExp, url: string): void {
  expect(lines).toEqual([expect.stringMatching(line)]);
  const { password } = new URL(url);
  if (password !== '') expect(lines.join()).not.toContain(password);
}

describe('the database', () => {
  it.each([
    [
      'cannot be reached',
      async () => {
        const port = await findFreePort();
        return urlWith((url) => (url.port = String(port)));
      },
      /^gatehouse: The database \S+ at 127\.0\.0\.1:\d+ cannot be reached\. Check host and port in DATABASE_URL/,
    ],
    [
      'speaks no TLS',
      () => urlWith((url) => (url.search = '?sslmode=require')),
      /^gatehouse: The database \S+ at \S+ speaks no TLS\. Switch it on there, or set sslmode in DATABASE_URL to disable\.$/,
    ],
  ])('%s, which ends the process', async (_what, makeUrl, line) => {
    const url = await makeUrl();
    const lines = await linesOfStart(environmentFor(url));
    expectLine(lines, line, url);
  });

  it.each([
    [
      'has an unknown host',
      () => urlWith((url) => (url.hostname = 'database.invalid')),
      /^gatehouse: The database \S+ at database\.invalid:\d+ cannot be found.* Check DATABASE_URL/,
    ],
    [
      'refuses the password',
      () => urlWith((url) => (url.password = 'quite-wrong')),
      /^gatehouse: .* refuses the user or password\. Check DATABASE_URL or DATABASE_PASSWORD_FILE\.$/,
    ],
    [
      'asks for a password that its URL does not have',
      () => urlWith((url) => (url.password = '')),
      /^gatehouse: .* refuses the user or password\./,
    ],
    [
      'refuses a setting in its URL',
      () => urlWith((url) => (url.search = '?options=-c%20no_such_setting%3D1')),
      /^gatehouse: The database \S+ at \S+ cannot be used \(42704\)\. Check DATABASE_URL\.$/,
    ],
    [
      'does not exist',
      () => urlWith((url) => (url.pathname = '/no_such_database')),
      /^gatehouse: The database no_such_database .* does not exist\. Create it/,
    ],
  ])('%s', async (_what, makeUrl, line) => {
    const url = makeUrl();
    expectLine(await linesOn(url), line, url);
  });

  it('has a URL that reads doubtfully: of it nothing is said, by the service or the command line', async () => {
    const environment = environmentFor('postgresql://gatehouse:4711/Geheim-Wort@db.invalid/auth');
    const line =
      /^ {2}DATABASE_URL holds an @ that does not stand between user and host: .* DATABASE_PASSWORD_FILE/;
    const lines = await linesOfStart(environment);
    expect(lines).toEqual([expect.any(String), expect.stringMatching(line)]);
    const { status, stderr } = await gatehouse(['migrate'], { environment });
    expect(status).toBe(1);
    expect(stderr).toBe(`${lines.join('\n')}\n`);
    for (const piece of ['4711', 'Gehe', 'Wort', 'invalid']) expect(stderr).not.toContain(piece);
  });

  it('is named by no part of a URL in which the user may be missing', async () => {
    const port = await findFreePort();
    const lines = await linesOfStart(environmentFor(`postgresql://127.0.0.1:${port}/Geheim-Wort`));
    expect(lines).toEqual([
      'gatehouse: The database in DATABASE_URL cannot be reached. Check host and port in DATABASE_URL, and that PostgreSQL runs there.',
    ]);
  });

  it('is read-only', async () => {
    const readOnly = await createEmptyDatabase();
    await readOnly.query(`ALTER DATABASE ${readOnly.name} SET default_transaction_read_only = on`);
    const lines = await linesOn(readOnly.url);
    await readOnly.drop();
    expect(lines).toEqual([
      expect.stringMatching(
        /^gatehouse: The database \S+ at \S+ is read-only\. Point DATABASE_URL at the primary/,
      ),
    ]);
  });

  it('is a standby', async () => {
    const standby = await createEmptyDatabase();
    await replaceBuiltIn(
      standby.query,
      'pg_is_in_recovery()',
      `RETURNS boolean LANGUAGE sql AS 'SELECT true'`,
    );
    const lines = await linesOn(standby.url);
    await standby.drop();
    expect(lines).toEqual([
      expect.stringMatching(/^gatehouse: .* is a standby\. Point DATABASE_URL at the primary\.$/),
    ]);
  });
});

it('has another secret than the one that the keys were made with', async () => {
  const house = await openHouse();
  onTestFinished(() => house.close());
  const first = await house.replica();
  const readKeys = async () =>
    (await house.database.admin.query<Record<string, unknown>>('SELECT * FROM signing_keys')).rows;
  const before = await readKeys();
  const another = 'another-secret-of-more-than-32-bytes-in-length';
  const lines = await linesOfStart({ ...environmentFor(house.database.url), AUTH_SECRET: another });
  expect(lines).toEqual([
    expect.stringMatching(
      /^gatehouse: AUTH_SECRET does not open the signing keys .*: set .* AUTH_SECRET_PREVIOUS/,
    ),
  ]);
  expect(lines.join()).not.toContain(another);
  expect(await readKeys()).toEqual(before);
  expect((await first.app.inject({ url: '/ready' })).statusCode).toBe(200);
});

it('finds its port taken', async () => {
  const squatter = createServer().listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  const { port } = squatter.address() as AddressInfo;
  const lines = await linesOfStart({ ...environmentFor(database.url), PORT: String(port) });
  squatter.close();
  expect(lines).toEqual([`gatehouse: port ${port} is taken: stop what listens there, or set PORT`]);
});

it('names every mistake in its configuration at once, and shows no value', async () => {
  const lines = await linesOfStart({
    DATABASE_URL: database.url,
    AUTH_SECRET: 'too-short',
    ACCESS_TOKEN_TTL: '5s',
    CORS_ORIGINS: '*',
  });
  expect(lines[0]).toMatch(/^gatehouse: the configuration is wrong, see \.env\.example:$/);
  expect(lines.slice(1).map((line) => line.trim().split(' ')[0])).toEqual(
    expect.arrayContaining(['AUTH_SECRET', 'ACCESS_TOKEN_TTL', 'CORS_ORIGINS']),
  );
  expect(lines.join('\n')).not.toContain('too-short');
});
