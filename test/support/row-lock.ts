// A transaction that holds a row, so that statements of the service queue behind it in an order that a test chooses.
import { setTimeout as sleep } from 'node:timers/promises';

import type { TestDatabase } from './database.js';

export interface RowLock {
  /** Resolves when this many statements wait for locks. */
  queue: (length: number) => Promise<void>;
  release: () => Promise<void>;
}

/** @param select a `SELECT … FOR UPDATE` with one parameter */
export async function holdRow(database: TestDatabase, select: string, parameter: string): Promise<RowLock> {
  const holder = await database.admin.connect();
  await holder.query('BEGIN');
  await holder.query(select, [parameter]);
  return {
    queue: async (length) => {
      for (;;) {
        const { rows } = await database.admin.query<{ waiting: number }>(
          `SELECT count(*)::int AS waiting FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        if ((rows[0]?.waiting ?? 0) >= length) return;
        await sleep(5);
      }
    },
    release: async () => {
      await holder.query('COMMIT');
      holder.release();
    },
  };
}

export function holdSession(database: TestDatabase, sid: string): Promise<RowLock> {
  return holdRow(database, 'SELECT FROM sessions WHERE id = $1 FOR UPDATE', sid);
}
