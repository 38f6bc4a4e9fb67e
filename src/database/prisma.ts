/** The way to PostgreSQL: one pool, one deadline for every statement, one kind of error for "we cannot know". */
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';

import { PrismaClient } from './generated/client.js';

/** Every statement is answered within this time, or its caller is told that the database cannot be asked. */
export const STATEMENT_DEADLINE_MS = 2000;

/** PostgreSQL gives up on a statement somewhat earlier than we do, so that it seldom commits what nobody awaits. */
const SERVER_DEADLINE_MS = 1900;

/** The database did not answer, or not as a healthy primary does: whatever was asked is unknown. */
export class DatabaseUnavailable extends Error {
  override name = 'DatabaseUnavailable';
}

/** Asks one statement as a tagged template; `Row` is what its columns are cast to in SQL. */
export type Query = <Row>(text: TemplateStringsArray, ...values: unknown[]) => Promise<Row[]>;

export interface Database {
  query: Query;
  /** The pool beneath, for libraries that bring statements of their own. */
  pool: pg.Pool;
  close: () => Promise<void>;
}

/**
 * Connects lazily: it succeeds without a database, and each query says whether there is one.
 *
 * @param url a `postgresql://` connection string
 * @param options.connections how many connections the pool holds at most
 * @throws {DatabaseUnavailable} from `query`, when no trustworthy answer came within {@link STATEMENT_DEADLINE_MS}
 */
export function openDatabase(url: string, options: { connections?: number } = {}): Database {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'gatehouse',
    max: options.connections ?? 10,
    connectionTimeoutMillis: STATEMENT_DEADLINE_MS,
    query_timeout: STATEMENT_DEADLINE_MS,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    verify: verifyConnection,
  });
  // A connection that breaks while idle leaves the pool by itself; the next query learns what the matter is.
  pool.on('error', () => undefined);
  const prisma = new PrismaClient({
    adapter: new PrismaPg(pool, { onConnectionError: () => undefined }),
    errorFormat: 'minimal',
  });
  return {
    pool,
    query: async <Row>(text: TemplateStringsArray, ...values: unknown[]) =>
      await withinDeadline<Row[]>(prisma.$queryRaw(text, ...values)),
    close: async () => {
      await prisma.$disconnect();
      await pool.end();
    },
  };
}

/**
 * Every new connection proves that it reaches a primary before it may answer, since a standby lags behind the
 * revocations, and is told to acknowledge only what is durable and to give up in time.
 */
function verifyConnection(client: pg.PoolClient, done: (error?: Error) => void): void {
  client
    .query<{ standby: boolean }>(
      `SELECT pg_is_in_recovery() AS standby,
              set_config('synchronous_commit', 'on', false),
              set_config('default_transaction_isolation', 'read committed', false),
              set_config('statement_timeout', '${SERVER_DEADLINE_MS}', false),
              set_config('lock_timeout', '${SERVER_DEADLINE_MS}', false),
              set_config('idle_in_transaction_session_timeout', '10000', false)`,
    )
    .then(({ rows }) => {
      if (rows[0]?.standby === false) done();
      else done(new Error('connected to a standby, which may not know the latest revocations'));
    }, done);
}

async function withinDeadline<T>(work: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new DatabaseUnavailable(`no answer within ${STATEMENT_DEADLINE_MS} ms`));
    }, STATEMENT_DEADLINE_MS);
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

/** The SQLSTATE that PostgreSQL gave, dug out of Prisma's wrapping; undefined when there was none. */
export function sqlState(error: unknown): string | undefined {
  const meta = (
    error as { meta?: { driverAdapterError?: { cause?: { originalCode?: string } }; code?: string } }
  ).meta;
  return meta?.driverAdapterError?.cause?.originalCode ?? meta?.code;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
