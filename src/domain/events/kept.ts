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

/** After so many rounds one begins at the first event again: about once a day. */
export const ROUNDS_OF_A_DAY = 1440;

/**
 * @returns a round: deletes events that are older than that, the oldest first, batch by batch; tells how many went
 */
export function createEventPruning(
  database: Database,
  retentionSeconds: number,
): (signal?: AbortSignal) => Promise<number> {
  let rounds = 0;
  /** Behind this id the next batch begins. */
  let after = FIRST_ID;
  /** The last id that the batch before has deleted. */
  let reached = FIRST_ID;

  async function pruneBatch(): Promise<number> {
    // Settles replicas that prune at once: rows that another one holds are passed by. Ids begin with the time, so that those which are
    // over lie at the beginning of the primary key. Rows are deleted by where they lie, as in sessions/revocations.ts.
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
    // A row that was deleted stays in the index until VACUUM, and a statement that meets it there has to look at the table to learn that it is gone: of
    // ten million such rows the look alone takes seconds. So no batch begins at the first event again, and no round does but one a day,
    // for rows that others held. A batch begins behind the one before the last: the rows of the last one are met once more, which marks
    // them in the index, and the next who meets them there, of another replica or after a restart, passes by seven times as fast.
    after = reached;
    reached = rows.reduce((last, { id }) => (id > last ? id : last), reached);
    return rows.length;
  }

  return async (signal) => {
    if (rounds % ROUNDS_OF_A_DAY === 0) after = reached = FIRST_ID;
    rounds += 1;
    for (let gone = 0; ;) {
      const count = await pruneBatch();
      gone += count;
      if (count < BATCH || gone >= MOST_OF_ROUND || signal?.aborted === true) return gone;
      await sleep(PAUSE_MS);
    }
  };
}
