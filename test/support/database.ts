// A fresh, migrated database for one test, with a clock that the test shifts or stops.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { TEMPLATE } from './cluster.js';

/** What the service sees as `clock_timestamp()`, on every connection at once. */
export interface TestClock {
  /** Runs this many seconds ahead of the real clock (behind, if negative). */
  set(offsetSeconds: number): Promise<void>;
  /** Moves on by this many seconds, also while frozen. */
  advance(seconds: number): Promise<void>;
  /** Stops at an instant, given as a Date or in seconds since 1970. */
  freeze(at: Date | number): Promise<void>;
  /** Runs again, from the real time plus what `set` and `advance` added. */
  release(): Promise<void>;
}

export interface TestDatabase {
  url: string;
  /** For looking behind the service's back. */
  admin: pg.Pool;
  clock: TestClock;
  drop(): Promise<void>;
}

export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await onServer(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  const url = new URL(inject('adminUrl'));
  url.pathname = name;
  const admin = new pg.Pool({ connectionString: url.href, max: 2 });
  // Tests end connections on purpose.
  admin.on('error', () => undefined);
  return {
    url: url.href,
    admin,
    clock: createClock(admin),
    drop: async () => {
      await admin.end();
      await onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

function createClock(admin: pg.Pool): TestClock {
  const update = async (assignments: string, values: unknown[]) => {
    await admin.query(`UPDATE test_clock.state SET ${assignments}`, values);
  };
  return {
    set: (offsetSeconds) => update(`shift = make_interval(secs => $1)`, [offsetSeconds]),
    advance: (seconds) =>
      update(`shift = shift + make_interval(secs => $1), frozen_at = frozen_at + make_interval(secs => $1)`, [
        seconds,
      ]),
    freeze: (at) => update(`frozen_at = to_timestamp($1)`, [at instanceof Date ? at.getTime() / 1_000 : at]),
    release: () => update(`frozen_at = NULL`, []),
  };
}

/** Runs one statement in the database `postgres`. */
export async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('adminUrl') });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/**
 * Puts a function of the test's in the place of one of PostgreSQL's own, for statements that are planned from now on.
 *
 * @param signature as in `to_char(timestamp, text)`
 * @param definition what follows its name and parameters in CREATE FUNCTION
 * @returns what puts the built-in one back
 */
export async function replaceBuiltIn(
  query: (sql: string) => Promise<unknown>,
  signature: string,
  definition: string,
): Promise<() => Promise<void>> {
  const name = signature.slice(0, signature.indexOf('('));
  const kept = signature.replace(name, `built_in_${name}`);
  await query(`ALTER FUNCTION pg_catalog.${signature} RENAME TO built_in_${name}`);
  await query(`CREATE FUNCTION pg_catalog.${signature} ${definition}`);
  return async () => {
    await query(`DROP FUNCTION pg_catalog.${signature}`);
    await query(`ALTER FUNCTION pg_catalog.${kept} RENAME TO ${name}`);
  };
}
