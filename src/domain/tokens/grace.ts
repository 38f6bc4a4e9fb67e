/** How long an expired token may still earn its successor, and how long ended rows are therefore kept. */
import { sql } from '../../database/sql.js';

/** The longest grace that may be configured. */
export const MAX_GRACE_SECONDS = 300;

/** A minute more, for requests that are under way when the grace ends. */
const KEPT_SECONDS = MAX_GRACE_SECONDS + 60;

/**
 * How long rows about a session are kept after its end for good. Deleted earlier, a revocation could be missing while a
 * token that it ended is still in its grace.
 */
export const RETENTION = sql`interval '${KEPT_SECONDS} seconds'`;
