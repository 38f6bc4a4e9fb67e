// @ts-check
// Prisma's schema engine as WebAssembly, for development: compares the migrations with the schema, without a native binary.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';

import { Pool } from '../dist/database/driver.js';
import { readMigrations } from '../dist/database/migration-files.js';

/** @typedef {import('@prisma/schema-engine-wasm/schema_engine_bg').SchemaEngine} SchemaEngine */
/** @typedef {typeof import('@prisma/schema-engine-wasm/schema_engine_bg').SchemaEngine} EngineClass */
/** @typedef {import('@prisma/schema-engine-wasm/schema_engine_bg').MigrationList} MigrationList */
/** @typedef {import('@prisma/driver-adapter-utils').SqlQuery} SqlQuery */
/** @typedef {import('@prisma/driver-adapter-utils').SqlResultSet} SqlResultSet */
/** @typedef {{ path: string, content: string }} SchemaFile */

const prismaDirectory = fileURLToPath(new URL('../prisma', import.meta.url));
const filters = { externalTables: [], externalEnums: [] };

/**
 * The SQL that leads from the migrations to schema.prisma; empty when they agree.
 *
 * @param {string} url of an empty database, which the migrations are played into and which is thrown away afterwards
 * @returns {Promise<string>}
 */
export async function diffMigrations(url) {
  return withSchemaEngine(url, async (engine, schema) => {
    const { stdout } = await engine.diff({
      from: { tag: 'migrations', ...(await listMigrations()) },
      to: { tag: 'schemaDatamodel', files: [schema] },
      script: true,
      exitCode: null,
      filters,
    });
    const sql = stdout?.trim() ?? '';
    return sql === '-- This is an empty migration.' ? '' : sql;
  });
}

/**
 * Applies what is pending, as Prisma's own tools do.
 *
 * @param {string} url
 * @returns {Promise<string[]>} names
 */
export async function applyAsPrisma(url) {
  return withSchemaEngine(url, async (engine) => {
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList: await listMigrations(),
      filters,
    });
    return appliedMigrationNames;
  });
}

/**
 * What `prisma migrate status` says about the history in a database.
 *
 * @param {string} url
 */
export async function diagnoseHistory(url) {
  return withSchemaEngine(url, async (engine) =>
    engine.diagnoseMigrationHistory({
      migrationsList: await listMigrations(),
      optInToShadowDatabase: false,
      filters,
    }),
  );
}

/**
 * The migrations as the engine wants them.
 *
 * @returns {Promise<MigrationList>}
 */
async function listMigrations() {
  const baseDir = join(prismaDirectory, 'migrations');
  const migrations = await readMigrations();
  return {
    baseDir,
    lockfile: {
      path: 'migration_lock.toml',
      content: await readFile(join(baseDir, 'migration_lock.toml'), 'utf8'),
    },
    shadowDbInitScript: '',
    migrationDirectories: migrations.map(({ name, sql }) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } },
    })),
  };
}

/**
 * @template T
 * @param {string} url
 * @param {(engine: SchemaEngine, schema: SchemaFile) => Promise<T>} use
 * @returns {Promise<T>}
 */
async function withSchemaEngine(url, use) {
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

/**
 * @param {Pool} pool
 * @returns {object}
 */
function createAdapters(pool) {
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

/**
 * Two things that PrismaPg does for queries of the client do not do for the engine's.
 *
 * @param {Awaited<ReturnType<PrismaPg['connect']>>} adapter
 */
function mend(adapter) {
  // The adapter cuts a script at every semicolon, also in string literals and comments. As one simple query it stays whole.
  adapter.executeScript = async (script) => {
    await adapter.executeRaw({ sql: script, args: [], argTypes: [] });
  };
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = (query) => readCharColumns(query, queryRaw);
  return adapter;
}

/**
 * The adapter refuses PostgreSQL's one-byte type "char", which `diff` reads from the catalogue: read it as text.
 *
 * @param {SqlQuery} query
 * @param {(query: SqlQuery) => Promise<SqlResultSet>} queryRaw
 * @returns {Promise<SqlResultSet>}
 */
async function readCharColumns(query, queryRaw) {
  const sql = query.sql.replace(/\bconstr\.contype(?= AS)|\bcon\.conf(?:del|upd)type\b/g, '$&::text');
  const result = await queryRaw({ ...query, sql });
  if (sql === query.sql) return result;
  const isChar = (/** @type {string | undefined} */ name) =>
    /^(?:constraint_type|conf(?:del|upd)type)$/.test(name ?? '');
  const columnTypes = result.columnTypes.map((type, index) =>
    isChar(result.columnNames[index]) ? ColumnTypeEnum.Character : type,
  );
  return { ...result, columnTypes };
}

/** @type {Promise<EngineClass> | undefined} */
let loaded;

/** Once per process: the JavaScript beside the module keeps one instance, and a second would take its memory away. */
async function loadSchemaEngine() {
  return (loaded ??= instantiateSchemaEngine());
}

/**
 * The part of the WebAssembly interface that is used here: the compiler's libraries for Node do not describe it.
 *
 * @typedef {{ exports: { __wbindgen_start(): void } }} Instance
 * @typedef {{ instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: Instance }> }} WebAssemblyApi
 */

/**
 * By hand: the package's own entry imports `.wasm` as an ES module, which Node does not do unasked.
 *
 * @returns {Promise<EngineClass>}
 */
async function instantiateSchemaEngine() {
  // Where the module says why it gives up, before it does.
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: reportPanic } });
  const glueFile = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = await readFile(join(dirname(glueFile), 'schema_engine_bg.wasm'));
  const { instantiate } = /** @type {{ WebAssembly: WebAssemblyApi }} */ (/** @type {unknown} */ (globalThis))
    .WebAssembly;
  const { instance } = await instantiate(bytes, { './schema_engine_bg.js': withIdleTimers(glue) });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return glue.SchemaEngine;
}

/**
 * The engine leaves the timer of its ten-second lock running: it must not keep a command from ending.
 *
 * @param {object} glue
 * @returns {object}
 */
function withIdleTimers(glue) {
  const startTimer = (/** @type {() => void} */ run, /** @type {number} */ milliseconds) =>
    setTimeout(run, milliseconds).unref();
  return Object.fromEntries(
    Object.entries(glue).map(([name, value]) => [
      name,
      name.startsWith('__wbg_setTimeout') ? startTimer : value,
    ]),
  );
}

/**
 * @param {string} message
 * @returns {never}
 */
function reportPanic(message) {
  throw new Error(`The schema engine gave up: ${message}`);
}
