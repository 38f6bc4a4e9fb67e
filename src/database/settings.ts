/** PostgreSQL's settings that our statements and the driver depend on: each connection is told all of them. */

/**
 * PostgreSQL takes each from the server, the database or the role where a connection says nothing. What is not here is left
 * to the operator. `default_transaction_read_only` is left on purpose: a provider sets it when a disk is full, and the start
 * refuses it by name. `session_replication_role` only a superuser may set: where it is wrong, the connection is refused.
 */
const OF_EVERY_CONNECTION = {
  // Names without a schema are PostgreSQL's own first, which is what it does with pg_catalog unless told otherwise, and then
  // ours. What a migration creates goes into public. Temporary tables would come before both if they were not named.
  search_path: 'public, pg_temp',
  // The driver writes and reads UTF-8, and says so to nobody.
  client_encoding: 'UTF8',
  // The driver reads times in this form alone, and Prisma's adapter takes any offset from UTC for +00:00.
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  // With less, a time in seconds loses its microseconds on the way to us.
  extra_float_digits: '1',
  // Questions about tokens write NULL into the text of an array (domain/liveness/questions.ts).
  array_nulls: 'on',
  // Our statements, Prisma's and the migrations are written for these two.
  standard_conforming_strings: 'on',
  transform_null_equals: 'off',
  // A policy that hides rows from us would hide revocations: off, PostgreSQL refuses the statement instead.
  row_security: 'off',
  // An error ends a statement, and never the connection under the other ones.
  exit_on_error: 'off',
  // Acknowledged is only what is durable.
  synchronous_commit: 'on',
  // Statements settle their races under this one: the others give up where it waits and reads again.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  // Nobody of ours leaves a transaction open; one whose process stands still must not hold its locks.
  idle_in_transaction_session_timeout: '10000',
  // A connection waits for its next statement as long as its owner keeps it.
  idle_session_timeout: '0',
  // From PostgreSQL 17 on. Statements have their deadlines, and a migration takes as long as it takes.
  transaction_timeout: '0',
  statement_timeout: '0',
  lock_timeout: '0',
  // Where and how a migration's tables are kept: as PostgreSQL does where nothing is said.
  default_tablespace: '',
  default_table_access_method: 'heap',
};

/**
 * Where a few rows are looked up by their keys, again and again: one plan for all times, by index. What PostgreSQL would
 * choose by the sizes that it last counted reads whole tables once these were small, or costs more than the look-up.
 */
export const LOOK_UPS_ONLY = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
};

export type Settings = Readonly<Record<string, string>>;

/** The names of those that are ours to set, in small letters: PostgreSQL does not distinguish case. */
export const OUR_SETTINGS: ReadonlySet<string> = new Set(
  Object.keys({ ...OF_EVERY_CONNECTION, ...LOOK_UPS_ONLY }).map((name) => name.toLowerCase()),
);

/**
 * The statements that tell a connection all of them, with others in place of or beside those of every connection.
 *
 * What was set before them is not to be trusted: the first two let the third one end and mean what it says. The
 * third leaves out what this PostgreSQL does not know; a name with a dot in it is ours, and nobody knows it yet.
 */
export function writeSettings(others: Settings): string {
  const settings = Object.entries({ ...OF_EVERY_CONNECTION, ...others });
  const rows = settings.map(([name, value]) => `(${quote(name)}, ${quote(value)})`);
  return `
    SET statement_timeout = 0;
    SET search_path = public, pg_temp;
    SELECT set_config(name, value, false) FROM (VALUES ${rows.join(', ')}) AS ours (name, value)
    WHERE current_setting(name, true) IS NOT NULL OR name LIKE '%.%'`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
