/** What a failed statement says of the database: whether it is our own mistake, and otherwise what is missing, in words that hold no value. */
import pg from 'pg';

import { OVERTAKEN } from './fence.js';
import { FOREIGN, NO_TRIGGERS, STANDBY } from './verify-connection.js';

/**
 * Statements that are wrong in themselves (SQLSTATE classes 22 data, 23 constraint, 42 syntax or access) are bugs and
 * stay what they are. All else, known or not, means that the database cannot be asked: that way an error that
 * nobody thought of fails closed.
 */
export function isOurMistake(error: unknown): boolean {
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

/** What is missing while the database cannot be asked. docs/metrics.md says what each means. */
export const DATABASE_LACKS = [
  'database_unreachable',
  'database_slow',
  'database_connections',
  'disk_full',
  'read_only',
  'commits_wait',
  'wrong_database',
] as const;
export type DatabaseLack = (typeof DATABASE_LACKS)[number];

/** What the pool says in words that hold no value. */
const POOL_MESSAGES = new Map<string, DatabaseLack>([
  ['timeout exceeded when trying to connect', 'database_unreachable'],
  ['Query read timeout', 'database_slow'],
  ['Connection terminated unexpectedly', 'database_unreachable'],
  ['Connection terminated due to connection timeout', 'database_unreachable'],
  ['Cannot use a pool after calling end on the pool', 'database_unreachable'],
  [STANDBY, 'wrong_database'],
  [FOREIGN, 'wrong_database'],
  [OVERTAKEN, 'wrong_database'],
  [NO_TRIGGERS, 'database_unreachable'],
]);

/** What an operator has to mend, by SQLSTATE. */
const SHORTAGES: Record<string, { lack: DatabaseLack; words?: string }> = {
  53100: { lack: 'disk_full', words: 'the disk of the database is full (53100): make room there' },
  25006: {
    lack: 'read_only',
    words:
      'the database is read-only (25006): make room if its provider says that the disk is full, or set default_transaction_read_only to off',
  },
  53200: { lack: 'database_unreachable', words: 'the database is out of memory (53200)' },
  53300: {
    lack: 'database_connections',
    words: 'the database has no connection left (53300): raise max_connections or end other clients',
  },
  // PostgreSQL gave up by itself, a little before our own deadline: on the statement, or on a lock.
  57014: { lack: 'database_slow' },
  '55P03': { lack: 'database_slow' },
};

/** What is missing when a statement has failed so. */
export function lackOf(error: unknown): DatabaseLack {
  const { message = '' } = error as Partial<Error>;
  return POOL_MESSAGES.get(message) ?? SHORTAGES[sqlState(error) ?? '']?.lack ?? 'database_unreachable';
}

/** The names that Prisma and PostgreSQL give it. Their sentences quote parameters, and are kept out of logs by that. */
export function describe(error: unknown): string {
  const { message, code, meta } = error as DriverFailure & Partial<NodeJS.ErrnoException>;
  if (message !== undefined && POOL_MESSAGES.has(message)) return message;
  const words = SHORTAGES[sqlState(error) ?? '']?.words;
  if (words !== undefined) return words;
  const names = [meta?.driverAdapterError?.cause?.kind, sqlState(error) ?? code];
  const known = names.filter((name) => name !== undefined && /^\w{1,60}$/.test(name));
  return known.length > 0 ? known.join(', ') : 'it failed in a way that nobody foresaw';
}
