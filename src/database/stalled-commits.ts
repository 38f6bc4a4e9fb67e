/** Commits that wait for a synchronous standby, as PostgreSQL shows them to another connection: what else looks like no answer at all has a name then. */
import { Pool } from './driver.js';
import { sql } from './sql.js';

export const STALLED =
  'commits wait for a synchronous standby, and none confirms them: bring one back, and cancel no commit that waits ' +
  '(docs/failover.md)';

/**
 * Whether a statement of this role has waited for a standby for longer than one needs that is there. PostgreSQL shows to a role
 * what its own connections wait for. Other roles do not count: `synchronous_commit` is theirs to set.
 */
export const COMMITS_WAIT = sql`EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND usename = session_user AND wait_event = 'SyncRep'
      AND query_start < statement_timestamp() - interval '1 second'
  )`;

/** Longer than it takes to connect and ask; the statement whose deadline nears does not wait for it. */
const LOOK_DEADLINE_MS = 2000;
const IDLE_MS = 10_000;

export interface StallWatch {
  /** Whether commits wait; false where that cannot be found out. One question at a time, for all who ask. */
  look: () => Promise<boolean>;
  close: () => Promise<void>;
}

/** Connects when it is asked, with a connection of its own: those of a pool may all be waiting. */
export function watchStalls(url: string): StallWatch {
  const pool = new Pool({
    connectionString: url,
    application_name: 'gatehouse',
    max: 1,
    connectionTimeoutMillis: LOOK_DEADLINE_MS,
    query_timeout: LOOK_DEADLINE_MS,
    idleTimeoutMillis: IDLE_MS,
  });
  pool.on('error', () => undefined);
  let looking: Promise<boolean> | undefined;

  async function look(): Promise<boolean> {
    try {
      const { rows } = await pool.query<{ wait: boolean }>(`SELECT ${COMMITS_WAIT.text} AS wait`);
      return rows[0]?.wait === true;
    } catch {
      return false;
    }
  }

  return {
    look: () => (looking ??= look().finally(() => (looking = undefined))),
    close: () => pool.end(),
  };
}
