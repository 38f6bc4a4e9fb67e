/** Until when the row is kept that says that many sessions were ended at once. */
import { sql } from '../../database/sql.js';
import { RETENTION } from '../tokens/grace.js';

/**
 * The end of the last session that there is, of any user, and the retention; from `now` on if there is none. Read at the end of the
 * index for pruning, which is by ten minutes: the last end of one user's sessions would have to be looked for among all of
 * them, and of hundreds of thousands in the very statement that ends them.
 */
export const KEPT_UNTIL_ALL_ENDED = sql`greatest(now, (
    SELECT max(date_bin('10 minutes', expires_at, 'epoch')) + make_interval(mins => 10) FROM sessions
  )) + ${RETENTION}`;
