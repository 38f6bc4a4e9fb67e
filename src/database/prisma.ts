/** The way to PostgreSQL: one pool, and one deadline for every statement. */
import type pg from 'pg';

import { assertColumns, type Columns, type RowOf } from './columns.js';
import { Pool } from './driver.js';
import { describe, isOurMistake, lackOf } from './failure.js';
import { createFence, type Fence } from './fence.js';
import { areOwn } from './pooler.js';
import { parametersOf, readStatement, type Statement } from './sql.js';
import { STALLED, watchStalls, type StallWatch } from './stalled-commits.js';
import type { Tables } from './tables.js';
import { DatabaseUnavailable, refusalOfWritesIn } from './unavailable.js';
import { poolSettings, verifyConnection } from './verify-connection.js';

/** Every statement is answered within this time, or its caller is told that the database cannot be asked. */
export const STATEMENT_DEADLINE_MS = 2000;

/**
 * How long a connection is kept for an answer that its caller no longer awaits. A commit that waits for a standby is deaf to
 * everything, also to our leaving: whoever opens another connection at each deadline soon has used up the server's.
 */
const CONNECTION_PATIENCE_MS = 10_000;

/** Before the deadline of a statement, another connection is asked whether commits wait for a standby. */
const LOOK_AHEAD_MS = 500;

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
  /** What statements write down about themselves. One of them has one wording on all connections of a pool. */
  readonly events: 'all' | 'changes' | 'off';
  /** Whether servers have told who they are so far, so that a primary that was replaced is recognized. */
  isFenced: () => boolean;
  /** Whether a write was refused for want of room, or since the database is read-only. Who writes something later takes it back. */
  readonly writes: { areRefused: boolean };
  /**
   * Whether connections keep what they are told, which no pooler keeps that lends them by transaction. It takes two
   * connections of the pool.
   *
   * @throws {DatabaseUnavailable}
   */
  keepsSettings: () => Promise<boolean>;
  /** How many connections are open, how many of these nobody uses, and how many statements wait for one. */
  connections: () => { open: number; idle: number; waiting: number };
  close: () => Promise<void>;
}

export interface DatabaseOptions {
  /** How many connections the pool holds at most. */
  connections?: number;
  /** Nothing is ever committed here, so that a late answer's connection can be given up at once. */
  readsOnly?: boolean;
  /** For those who may wait longer than {@link STATEMENT_DEADLINE_MS}. */
  deadlineMs?: number;
  /** What this process has heard of servers, where several pools share it. */
  fence?: Fence;
  /** Opens a connection for each statement. */
  isFresh?: boolean;
  /** Also in another cluster than the stored one. */
  acceptsForeign?: boolean;
  events?: Database['events'];
}

/**
 * Connects lazily: it succeeds without a database, and each query says whether there is one.
 *
 * @param url a `postgresql://` connection string
 * @throws {DatabaseUnavailable} from `query`, when no trustworthy answer came in that time
 */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const { connections = 10, readsOnly = false, deadlineMs = STATEMENT_DEADLINE_MS } = options;
  const { fence = createFence(), isFresh = false, acceptsForeign = false, events = 'all' } = options;
  const pool = new Pool({
    connectionString: url,
    application_name: 'gatehouse',
    max: connections,
    maxUses: isFresh ? 1 : Infinity,
    connectionTimeoutMillis: Math.max(deadlineMs, STATEMENT_DEADLINE_MS),
    query_timeout: readsOnly ? deadlineMs : Math.max(deadlineMs, CONNECTION_PATIENCE_MS),
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    settings: poolSettings(deadlineMs, { readsOnly }),
    verify: verifyConnection({ fence, acceptsForeign }),
  });
  // A connection that breaks while idle leaves the pool by itself; the next query learns what the matter is.
  pool.on('error', () => undefined);
  const writes = { areRefused: false };
  const stalls = readsOnly ? undefined : watchStalls(url);
  let tables: ReturnType<typeof loadTables> | undefined;
  let comparing: Promise<boolean> | undefined;
  const known = new WeakMap<TemplateStringsArray, Statement & { isChecked: boolean }>();

  function noteRefusal(error: unknown): never {
    if (refusalOfWritesIn(error) !== undefined) writes.areRefused = true;
    throw error;
  }

  /** Statements go to the driver itself, which takes a quarter of the CPU time that they take through Prisma (packages/lab/bench/README.md). */
  function ask<const C extends Columns>(columns: C, name?: string): Ask<RowOf<C>> {
    return async (template, ...values) => {
      let statement = known.get(template);
      if (statement === undefined)
        known.set(template, (statement = { ...readStatement(template, values), isChecked: false }));
      const sent = { name, text: statement.text, values: parametersOf(statement, values) };
      const asking = withinDeadline(deadlineMs, pool.query<RowOf<C>>(sent), stalls);
      const { rows, fields } = await asking.catch(noteRefusal);
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
    writes,
    events,
    read: async (list) => {
      const loaded = await (tables ??= loadTables(pool));
      return await withinDeadline(deadlineMs, list(loaded));
    },
    isFenced: fence.isOn,
    // One at a time for all who ask: each one of several could wait for the second connection that another one holds.
    keepsSettings: async () => {
      comparing ??= compareTwo(pool).finally(() => (comparing = undefined));
      return await withinDeadline(deadlineMs, comparing);
    },
    connections: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: async () => {
      try {
        await (await tables)?.$disconnect();
      } finally {
        await Promise.all([pool.end(), stalls?.close()]);
      }
    },
  };
}

const loadTables = async (pool: pg.Pool) => (await import('./tables.js')).openTables(pool);

/** A connection on which this fails does not go back to the pool: a transaction may be open there. */
async function compareTwo(pool: pg.Pool): Promise<boolean> {
  const one = await pool.connect();
  let two: pg.PoolClient | undefined;
  let failure: unknown;
  try {
    two = await pool.connect();
    return await areOwn(one, two);
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    for (const client of [one, two]) client?.release(failure !== undefined);
  }
}

/** @param stalls is asked shortly before, so that the deadline can say what the matter is */
async function withinDeadline<T>(deadlineMs: number, work: PromiseLike<T>, stalls?: StallWatch): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const seen = { isStalled: false };
  const deadline = new Promise<never>((_, reject) => {
    const giveUp = () =>
      reject(new DatabaseUnavailable(`no answer within ${deadlineMs} ms`, 'database_slow'));
    const aheadMs = stalls === undefined ? 0 : Math.min(LOOK_AHEAD_MS, deadlineMs / 2);
    // The same timer for both: nearly all work is done before either.
    timer = setTimeout(() => {
      void stalls?.look().then((found) => (seen.isStalled = found));
      if (aheadMs === 0) giveUp();
      else timer = setTimeout(giveUp, aheadMs);
    }, deadlineMs - aheadMs);
  });
  try {
    return await Promise.race([work, deadline]);
  } catch (error) {
    if (isOurMistake(error)) throw error;
    // Also for those that failed for a lock: a commit that waits keeps its own.
    if (seen.isStalled) throw new DatabaseUnavailable(STALLED, 'commits_wait', { cause: error });
    throw error instanceof DatabaseUnavailable
      ? error
      : new DatabaseUnavailable(describe(error), lackOf(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
