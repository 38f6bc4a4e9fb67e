// Prisma's schema engine as WebAssembly: applies migrations and compares them with the schema, without a native binary.
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlQuery,
  type SqlResultSet,
} from '@prisma/driver-adapter-utils';
import type pg from 'pg';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { Pool } from './driver.js';

// Both src/database and dist/database are two levels below the package.
const prismaDirectory = fileURLToPath(new URL('../../prisma', import.meta.url));
const filters = { externalTables: [], externalEnums: [] };

/** The migrations that this build brings, oldest first. */
export async function readMigrations(): Promise<MigrationList> {
  const baseDir = join(prismaDirectory, 'migrations');
  const entries = await readdir(baseDir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const migrationDirectories = await Promise.all(
    names.sort().map(async (name) => {
      const value = await readFile(join(baseDir, name, 'migration.sql'), 'utf8');
      return { path: name, migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value } } };
    }),
  );
  const lockfile = await readFile(join(baseDir, 'migration_lock.toml'), 'utf8').catch(() => null);
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content: lockfile },
    shadowDbInitScript: '',
    migrationDirectories,
  };
}

/** Applies what is pending and returns the names. The caller holds a lock: the engine does not expect company. */
export async function applyMigrations(url: string, migrationsList: MigrationList): Promise<string[]> {
  return withSchemaEngine(url, async (engine) => {
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters });
    return appliedMigrationNames;
  });
}

/**
 * The SQL that leads from the migrations to schema.prisma; empty when they agree.
 * Plays the migrations into the database at `url`, which must be empty and is thrown away afterwards.
 */
export async function diffMigrations(url: string): Promise<string> {
  return withSchemaEngine(url, async (engine, schema) => {
    const { stdout } = await engine.diff({
      from: { tag: 'migrations', ...(await readMigrations()) },
      to: { tag: 'schemaDatamodel', files: [schema] },
      script: true,
      exitCode: null,
      filters,
    });
    const sql = stdout?.trim() ?? '';
    return sql === '-- This is an empty migration.' ? '' : sql;
  });
}

interface SchemaFile {
  path: string;
  content: string;
}

async function withSchemaEngine<T>(
  url: string,
  use: (engine: SchemaEngine, schema: SchemaFile) => Promise<T>,
): Promise<T> {
  const path = join(prismaDirectory, 'schema.prisma');
  const schema = { path, content: await readFile(path, 'utf8') };
  const engine = await loadSchemaEngine();
  const pool = new Pool({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // Without a listener an idle connection that breaks would end the process.
  pool.on('error', () => undefined);
  try {
    const opened = await engine.new(
      { datamodels: [[path, schema.content]] },
      () => undefined,
      createAdapters(pool),
    );
    return await use(opened, schema).finally(() => opened.free());
  } finally {
    await pool.end();
  }
}

function createAdapters(pool: pg.Pool): object {
  const factory = new PrismaPg(pool, { schema: 'public' });
  const connect = async () => mend(await factory.connect());
  return bindMigrationAwareSqlAdapterFactory({
    provider: factory.provider,
    adapterName: factory.adapterName,
    connect,
    // Only `diff` asks for it. The factory's own would make a database and then, given a URL, not connect to it.
    connectToShadowDb: connect,
  });
}

/** Two things that PrismaPg does for queries of the client do not do for the engine's. */
function mend(adapter: Awaited<ReturnType<PrismaPg['connect']>>): SqlDriverAdapter {
  // A migration goes as one simple query, which PostgreSQL runs as one transaction: it applies as a whole or not at
  // all. The adapter cuts scripts at every semicolon, in string literals and comments too.
  adapter.executeScript = async (script) => {
    await adapter.executeRaw({ sql: script, args: [], argTypes: [] });
  };
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = (query) => readCharColumns(query, queryRaw);
  return adapter;
}

/** The adapter refuses PostgreSQL's one-byte type "char", which `diff` reads from the catalogue: read it as text. */
async function readCharColumns(
  query: SqlQuery,
  queryRaw: (query: SqlQuery) => Promise<SqlResultSet>,
): Promise<SqlResultSet> {
  const sql = query.sql.replace(/\bconstr\.contype(?= AS)|\bcon\.conf(?:del|upd)type\b/g, '$&::text');
  const result = await queryRaw({ ...query, sql });
  if (sql === query.sql) return result;
  const isChar = (name: string | undefined) => /^(?:constraint_type|conf(?:del|upd)type)$/.test(name ?? '');
  const columnTypes = result.columnTypes.map((type, index) =>
    isChar(result.columnNames[index]) ? ColumnTypeEnum.Character : type,
  );
  return { ...result, columnTypes };
}

/** The part of the WebAssembly interface that is used here: the compiler's libraries for Node do not describe it. */
interface WebAssemblyInstance {
  exports: { __wbindgen_start(): void };
}
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: WebAssemblyInstance }>;
};

let loaded: Promise<typeof SchemaEngine> | undefined;

/** Once per process: the JavaScript beside the module keeps one instance, and a second would take its memory away. */
async function loadSchemaEngine(): Promise<typeof SchemaEngine> {
  return (loaded ??= instantiateSchemaEngine());
}

/** By hand: the package's own entry imports `.wasm` as an ES module, which Node does not do unasked. */
async function instantiateSchemaEngine(): Promise<typeof SchemaEngine> {
  // Where the module says why it gives up, before it does.
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: reportPanic } });
  const glueFile = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = await readFile(join(dirname(glueFile), 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, {
    './schema_engine_bg.js': withIdleTimers(glue),
  });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return glue.SchemaEngine;
}

/** The engine leaves the timer of its ten-second lock running: it must not keep a command from ending. */
function withIdleTimers(glue: object): object {
  const isTimer = (name: string) => name.startsWith('__wbg_setTimeout');
  const startTimer = (run: () => void, milliseconds: number) => setTimeout(run, milliseconds).unref();
  return Object.fromEntries(
    Object.entries(glue).map(([name, value]: [string, unknown]) => [
      name,
      isTimer(name) ? startTimer : value,
    ]),
  );
}

function reportPanic(message: string): never {
  throw new Error(`The schema engine gave up: ${message}`);
}
