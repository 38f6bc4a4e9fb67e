/** Which events are kept, how long, and how those that are over go. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Database } from '../../database/prisma.js';
import { FIRST_ID } from '../sessions/ids.js';

/** All of them, those of changes (and nothing of what was refused), or none. */
export const EVENTS = ['all', 'changes', 'off'] as const satisfies Database['events'][];
export type Events = Database['events'];

/** Rows that go in one statement, at most. */
const BATCH = 1000;

/** Between two such statements others have the database to themselves. */
const PAUSE_MS = 10;

/** Most that go in one round of housekeeping, for which the next round waits. The rest goes in the next ones. */
const MOST_OF_ROUND = 500_000;

/** Deletes events that are older than that, the oldest first, batch by batch; returns how many went. */
export async function pruneEvents(
  database: Database,
  retentionSeconds: number,
  signal?: AbortSignal,
): Promise<number> {
  let gone = 0;
  for (let after = FIRST_ID; gone < MOST_OF_ROUND;) {
    // Settles replicas that prune at once: rows that another one holds are passed by. Ids begin with the time, so that those which are
    // over lie at the beginning of the primary key. Each batch begins behind the one before: what has just been deleted is still in
    // the index, and would be read again and again. Rows are deleted by where they lie, as in sessions/revocations.ts.
    const rows = await database.query({ id: 'uuid' })`
      WITH clock AS MATERIALIZED (
        SELECT clock_timestamp() - make_interval(secs => ${retentionSeconds}::float8) AS bound
      )
      DELETE FROM events WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM events
        WHERE id > ${after}::uuid
          AND id < (SELECT (lpad(to_hex((extract(epoch FROM bound) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid FROM clock)
        ORDER BY id LIMIT ${BATCH}::int4 FOR UPDATE SKIP LOCKED
      )) RETURNING id`;
    gone += rows.length;
    if (rows.length < BATCH || signal?.aborted === true) return gone;
    after = rows.reduce((last, { id }) => (id > last ? id : last), after);
    await sleep(PAUSE_MS);
  }
  return gone;
}
