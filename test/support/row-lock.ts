// A transaction that holds a row or a table, so that statements of the service queue behind it in an order that a test chooses.
import { setTimeout as sleep } from 'node:timers/promises';

import type { TestDatabase } from './database.js';
import { AMPLE_MS } from './house.js';

/** In a row: a connection that one statement leaves may be given to the next that has waited for it. */
const QUIET_LOOKS = 20;

export interface RowLock {
  /** Resolves when this many statements wait for locks; fails when the first of them would have given up by now. */
  queue: (length: number) => Promise<void>;
  /** Resolves when no statement waits any more: one that was answered 503 may wait a little longer, and be done on release. */
  untilNobodyWaits: () => Promise<void>;
  /** May be asked again. */
  release: () => Promise<void>;
}

/** @param select a `SELECT … FOR UPDATE` with one parameter */
export function holdRow(database: TestDatabase, select: string, parameter: string): Promise<RowLock> {
  return hold(database, select, [parameter]);
}

export function holdSession(database: TestDatabase, sid: string): Promise<RowLock> {
  return holdRow(database, 'SELECT FROM sessions WHERE id = $1 FOR UPDATE', sid);
}

export function holdSessions(database: TestDatabase, sids: string[]): Promise<RowLock> {
  const all = "SELECT FROM sessions WHERE id = ANY (string_to_array($1, ',')::uuid[]) FOR UPDATE";
  return holdRow(database, all, sids.join());
}

/** From everybody, reads included. */
export function holdTables(database: TestDatabase, ...names: string[]): Promise<RowLock> {
  return hold(database, `LOCK TABLE ${names.join(', ')} IN ACCESS EXCLUSIVE MODE`);
}

async function hold(database: TestDatabase, statement: string, parameters: string[] = []): Promise<RowLock> {
  const holder = await database.admin.connect();
  await holder.query('BEGIN');
  await holder.query(statement, parameters);
  let isHeld = true;

  async function release(): Promise<void> {
    if (!isHeld) return;
    isHeld = false;
    await holder.query('COMMIT');
    holder.release();
  }

  async function until(isEnough: (waiting: number) => boolean): Promise<void> {
    const endsAtMs = performance.now() + AMPLE_MS;
    for (;;) {
      const waiting = await countWaiting(database);
      if (isEnough(waiting)) return;
      if (performance.now() > endsAtMs) {
        await release();
        throw new Error(`${waiting} statements wait for locks`);
      }
      await sleep(5);
    }
  }

  return {
    queue: (length) => until((waiting) => waiting >= length),
    untilNobodyWaits: () => {
      let quiet = 0;
      return until((waiting) => {
        quiet = waiting === 0 ? quiet + 1 : 0;
        return quiet === QUIET_LOOKS;
      });
    },
    release,
  };
}

async function countWaiting({ admin }: TestDatabase): Promise<number> {
  const { rows } = await admin.query<{ waiting: number }>(
    `SELECT count(*)::int AS waiting FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return rows[0]?.waiting ?? 0;
}
