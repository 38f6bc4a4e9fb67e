/** The way to PostgreSQL: one pool, one deadline for every statement, one kind of error for "we cannot know". */
import pg from 'pg';

import { assertColumns, type Columns, type RowOf } from './columns.js';
import { Pool } from './driver.js';
import { parametersOf, readStatement, type Statement } from './sql.js';
import type { Tables } from './tables.js';
import { STANDBY, verifyConnection } from './verify-connection.js';

/** Every statement is answered within this time, or its caller is told that the database cannot be asked. */
export const STATEMENT_DEADLINE_MS = 2000;

/**
 * How long a connection is kept for an answer that its caller no longer awaits. A commit that waits for a standby is deaf to
 * everything, also to our leaving: whoever opens another connection at each deadline soon has used up the server's.
 */
const CONNECTION_PATIENCE_MS = 10_000;

/**
 * The database did not answer, or not as a healthy primary does: whatever was asked is unknown. Its message is ours and
 * may be logged; that of its cause may not.
 */
export class DatabaseUnavailable extends Error {
  override name = 'DatabaseUnavailable';
}

/**
 * Asks one statement as a tagged template. A {@link Fragment} becomes part of its text, everything else is sent beside it.
 *
 * @throws {DatabaseUnavailable} when no trustworthy answer came in time
 * @throws {Error} when PostgreSQL sends other columns than were declared
 */
export type Ask<Row> = (template: TemplateStringsArray, ...values: unknown[]) => Promise<Row[]>;

export interface Database {
  /** A statement that decides: SQL, with the columns that it brings. */
  query: <const C extends Columns>(columns: C) => Ask<RowOf<C>>;
  /** The same for a statement that is asked all day: planned once per connection, under its name. */
  prepared: <const C extends Columns>(name: string, columns: C) => Ask<RowOf<C>>;
  /** Reads lists to show them, with Prisma's client, which the first list loads. */
  read: <Result>(list: (tables: Tables) => PromiseLike<Result>) => Promise<Result>;
  close: () => Promise<void>;
}

/**
 * Connects lazily: it succeeds without a database, and each query says whether there is one.
 *
 * @param url a `postgresql://` connection string
 * @param options.connections how many connections the pool holds at most
 * @param options.readsOnly nothing is ever committed here, so that a late answer's connection can be given up at once
 * @param options.deadlineMs for those who may wait longer than {@link STATEMENT_DEADLINE_MS}
 * @throws {DatabaseUnavailable} from `query`, when no trustworthy answer came in that time
 */
export function openDatabase(
  url: string,
  options: { connections?: number; readsOnly?: boolean; deadlineMs?: number } = {},
): Database {
  const { connections = 10, readsOnly = false, deadlineMs = STATEMENT_DEADLINE_MS } = options;
  const pool = new Pool({
    connectionString: url,
    application_name: 'gatehouse',
    max: connections,
    connectionTimeoutMillis: Math.max(deadlineMs, STATEMENT_DEADLINE_MS),
    query_timeout: readsOnly ? deadlineMs : Math.max(deadlineMs, CONNECTION_PATIENCE_MS),
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    verify: verifyConnection(deadlineMs, { readsOnly }),
  });
  // A connection that breaks while idle leaves the pool by itself; the next query learns what the matter is.
  pool.on('error', () => undefined);
  let tables: ReturnType<typeof loadTables> | undefined;
  const known = new WeakMap<TemplateStringsArray, Statement & { isChecked: boolean }>();

  /** Statements go to the driver itself, which takes a quarter of the CPU time that they take through Prisma (packages/lab/bench/README.md). */
  function ask<const C extends Columns>(columns: C, name?: string): Ask<RowOf<C>> {
    return async (template, ...values) => {
      let statement = known.get(template);
      if (statement === undefined)
        known.set(template, (statement = { ...readStatement(template, values), isChecked: false }));
      const sent = { name, text: statement.text, values: parametersOf(statement, values) };
      const { rows, fields } = await withinDeadline(deadlineMs, pool.query<RowOf<C>>(sent));
      // A statement brings the same columns each time, so the first answer tells.
      if (!statement.isChecked) {
        assertColumns(columns, fields);
        statement.isChecked = true;
      }
      return rows;
    };
  }

  return {
    query: (columns) => ask(columns),
    prepared: (name, columns) => ask(columns, name),
    read: async (list) => {
      const loaded = await (tables ??= loadTables(pool));
      return await withinDeadline(deadlineMs, list(loaded));
    },
    close: async () => {
      try {
        await (await tables)?.$disconnect();
      } finally {
        await pool.end();
      }
    },
  };
}

async function loadTables(pool: pg.Pool) {
  const { openTables } = await import('./tables.js');
  return openTables(pool);
}

async function withinDeadline<T>(deadlineMs: number, work: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new DatabaseUnavailable(`no answer within ${deadlineMs} ms`));
    }, deadlineMs);
  });
  try {
    return await Promise.race([work, deadline]);
  } catch (error) {
    throw isOurMistake(error) ? error : new DatabaseUnavailable(describe(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Statements that are wrong in themselves (SQLSTATE classes 22 data, 23 constraint, 42 syntax or access) are bugs and
 * stay what they are. All else, known or not, means that the database cannot be asked: that way an error that
 * nobody thought of fails closed.
 */
function isOurMistake(error: unknown): boolean {
  return /^(22|23|42)/.test(sqlState(error) ?? '');
}

interface DriverFailure {
  meta?: { driverAdapterError?: { cause?: { originalCode?: string; kind?: string } }; code?: string };
}

/** The SQLSTATE that PostgreSQL gave, dug out of Prisma's wrapping if need be; undefined when there was none. */
export function sqlState(error: unknown): string | undefined {
  if (error instanceof pg.DatabaseError) return error.code;
  const { meta } = error as DriverFailure;
  return meta?.driverAdapterError?.cause?.originalCode ?? meta?.code;
}

/** What the pool says in words that hold no value. */
const POOL_MESSAGES = new Set([
  'timeout exceeded when trying to connect',
  'Query read timeout',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Cannot use a pool after calling end on the pool',
  STANDBY,
]);

/** The names that Prisma and PostgreSQL give it. Their sentences quote parameters, and are kept out of logs by that. */
function describe(error: unknown): string {
  const { message, code, meta } = error as DriverFailure & Partial<NodeJS.ErrnoException>;
  if (message !== undefined && POOL_MESSAGES.has(message)) return message;
  const names = [meta?.driverAdapterError?.cause?.kind, sqlState(error) ?? code];
  const known = names.filter((name) => name !== undefined && /^\w{1,60}$/.test(name));
  return known.length > 0 ? known.join(', ') : 'it failed in a way that nobody foresaw';
}
