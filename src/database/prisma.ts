/** The way to PostgreSQL: one pool, one deadline for every statement, one kind of error for "we cannot know". */
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';

import { Pool } from './driver.js';
import { PrismaClient } from './generated/client.js';

/** Every statement is answered within this time, or its caller is told that the database cannot be asked. */
export const STATEMENT_DEADLINE_MS = 2000;

/**
 * PostgreSQL gives up on a statement so much earlier than we do, so that it seldom commits what nobody awaits. A commit
 * that has begun is beyond this: one that waits for a synchronous standby may still come after our 503.
 */
const SERVER_AHEAD_MS = 100;

/**
 * How long a connection is kept for an answer that its caller no longer awaits. A commit that waits for a standby is deaf to
 * everything, also to our leaving: whoever opens another connection at each deadline soon has used up the server's.
 */
const CONNECTION_PATIENCE_MS = 10_000;

const STANDBY = 'connected to a standby, which may not know the latest revocations';

/**
 * The database did not answer, or not as a healthy primary does: whatever was asked is unknown. Its message is ours and
 * may be logged; that of its cause may not.
 */
export class DatabaseUnavailable extends Error {
  override name = 'DatabaseUnavailable';
}

/** Asks one statement as a tagged template; `Row` is what its columns are cast to in SQL. */
export type Query = <Row>(text: TemplateStringsArray, ...values: unknown[]) => Promise<Row[]>;

export interface Database {
  query: Query;
  /**
   * The same for a statement that is asked all day: planned once per connection under its name, and handed to the driver
   * itself, which takes a quarter of the CPU time that it takes through Prisma (bench/README.md).
   */
  prepared: (name: string) => Query;
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
    verify: verifyConnection(deadlineMs, readsOnly ? LOOK_UPS_ONLY : {}),
  });
  // A connection that breaks while idle leaves the pool by itself; the next query learns what the matter is.
  pool.on('error', () => undefined);
  const texts = new WeakMap<TemplateStringsArray, string>();
  const prisma = new PrismaClient({
    adapter: new PrismaPg(pool, { onConnectionError: () => undefined }),
    errorFormat: 'minimal',
  });
  return {
    query: async <Row>(text: TemplateStringsArray, ...values: unknown[]) =>
      await withinDeadline<Row[]>(deadlineMs, prisma.$queryRaw(text, ...values)),
    prepared:
      (name) =>
      async <Row>(text: TemplateStringsArray, ...values: unknown[]) => {
        let numbered = texts.get(text);
        if (numbered === undefined)
          texts.set(text, (numbered = text.reduce((sql, part, place) => `${sql}$${place}${part}`)));
        const { rows } = await withinDeadline(deadlineMs, pool.query({ name, text: numbered, values }));
        return rows as Row[];
      },
    close: async () => {
      await prisma.$disconnect();
      await pool.end();
    },
  };
}

/** What each connection is told: to acknowledge only what is durable, and to give up in time. */
const SETTINGS = {
  synchronous_commit: 'on',
  default_transaction_isolation: 'read committed',
  idle_in_transaction_session_timeout: '10000',
};

/**
 * Where a few rows are looked up by their keys, again and again: one plan for all times, by index. What PostgreSQL would
 * choose by the sizes that it last counted reads whole tables once these were small, or costs more than the look-up.
 */
const LOOK_UPS_ONLY = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
};

/**
 * Every new connection proves that it reaches a primary before it may answer, since a standby lags behind the
 * revocations, and takes up our settings.
 */
function verifyConnection(deadlineMs: number, more: Record<string, string>) {
  const serverDeadlineMs = String(deadlineMs - SERVER_AHEAD_MS);
  const timeouts = { statement_timeout: serverDeadlineMs, lock_timeout: serverDeadlineMs };
  const settings = Object.entries({ ...SETTINGS, ...timeouts, ...more });
  const text = `SELECT pg_is_in_recovery() AS standby, ${settings
    .map(([name, value]) => `set_config('${name}', '${value}', false)`)
    .join(', ')}`;
  return (client: pg.PoolClient, done: (error?: Error) => void): void => {
    // The pool listens before and after this, not meanwhile: without a listener a connection that breaks now ends us.
    client.on('error', () => undefined);
    client.query<{ standby: boolean }>(text).then(({ rows }) => {
      if (rows[0]?.standby === false) done();
      else done(new Error(STANDBY));
    }, done);
  };
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
