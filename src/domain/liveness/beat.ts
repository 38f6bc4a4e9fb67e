/** The beat: a row that one replica writes each second, so that its gaps tell when nobody could be answered. */
import type { Database } from '../../database/prisma.js';
import { sql, type Fragment } from '../../database/sql.js';
import { repeat } from '../scheduling/repeat.js';

const INTERVAL_MS = 1000;

/** A longer silence is a gap. */
const LONGEST_SILENCE = sql`interval '5 seconds'`;

/** Less than the interval: of several replicas one writes, and the others find that it has been done. */
const SHORTEST_SILENCE = sql`interval '750 milliseconds'`;

/** At the time `now` the service is not in a gap. Null, so not true, without the row. */
export const IS_ANSWERING = sql`beat.beaten_at >= now - ${LONGEST_SILENCE}`;

/**
 * When a replay window ends that is `length` long and began at `began`. One that an outage cut off, the last one or several in a row,
 * begins anew when the outage is over. One that had run out before stays shut.
 */
function endOfWindow(began: Fragment, length: Fragment): Fragment {
  return sql`(
    CASE WHEN ${began} + ${length} > beat.answered_until AND ${began} <= beat.answering_since
    THEN beat.answering_since ELSE ${began} END + ${length}
  )`;
}

/** When that of the session in `sessions` ends, `replay_window` after its last rotation. */
export const WINDOW_ENDS = endOfWindow(sql`rotated_at`, sql`replay_window`);

/** At the time `now` such a window is open, or may be: while the beat is stale, nobody knows where it ends. One of no length never is. */
export function mayBeOpen(began: Fragment, length: Fragment): Fragment {
  return sql`(${length} > '0' AND (now <= ${endOfWindow(began, length)} OR (${IS_ANSWERING}) IS NOT TRUE))`;
}

/**
 * Writes that the service answers now, unless a replica has just done so, and notes the gap before it if there was one.
 *
 * @param replayWindowSeconds a gap that begins so soon after another cuts off the windows that the other one had cut off
 */
export async function beat(database: Database, replayWindowSeconds: number): Promise<void> {
  // Settles several replicas that beat at once: the first notes the gap, and those that waited for the row find it noted. The
  // write is as durable as any, so that commits that wait for a standby are a gap too: the time in the row is the statement's,
  // and when the commit is done at last, the row that it brings is old. An INSERT, so that a lost row comes back.
  await database.prepared('beat', {})`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    )
    INSERT INTO beat AS last (beaten_at)
    SELECT now FROM clock WHERE NOT EXISTS (SELECT FROM beat WHERE beaten_at BETWEEN now - ${SHORTEST_SILENCE} AND now)
    ON CONFLICT (id) DO UPDATE SET
      beaten_at = excluded.beaten_at,
      answered_until = CASE
        WHEN last.beaten_at >= excluded.beaten_at - ${LONGEST_SILENCE} THEN last.answered_until
        WHEN last.beaten_at < last.answering_since + make_interval(secs => ${replayWindowSeconds}::float8)
        THEN last.answered_until ELSE last.beaten_at END,
      answering_since = CASE
        WHEN last.beaten_at >= excluded.beaten_at - ${LONGEST_SILENCE} THEN last.answering_since
        ELSE excluded.beaten_at END`;
}

/**
 * Beats once, and then each second.
 *
 * @param onError is told why a beat failed, once for all that fail in a row
 * @returns stops it, once the beat under way is done
 */
export async function startBeating(
  database: Database,
  replayWindowSeconds: number,
  onError: (error: unknown) => void,
): Promise<() => Promise<void>> {
  let isFailing = false;

  async function beatOnce(): Promise<void> {
    try {
      await beat(database, replayWindowSeconds);
      isFailing = false;
    } catch (error) {
      if (!isFailing) onError(error);
      isFailing = true;
    }
  }

  // Before anybody is answered: a parent that comes with the first requests is then judged as at any time.
  await beatOnce();
  return repeat(beatOnce, () => INTERVAL_MS);
}
