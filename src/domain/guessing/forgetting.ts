/** What is counted of one account goes: an operator unlocks it, a new password is set, or its user is deleted. */
import type { Database } from '../../database/prisma.js';
import { sql, type Fragment } from '../../database/sql.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import type { Forgotten } from './guesses.js';

/**
 * Two parts of a WITH, of a statement that has a {@link Forgotten} as `asked`: these rows go. What a network has used up at many accounts
 * stays. Rows are locked in the order of refunds, which take a slot last, so that none waits in a circle.
 *
 * @param condition under which they go
 */
export function forgetting(condition: Fragment): Fragment {
  return sql`held AS MATERIALIZED (
      SELECT kept.key FROM login_attempts AS kept
      WHERE kept.key = ANY ((SELECT keys FROM asked)::text[]) OR kept.account = (SELECT account FROM asked)
      ORDER BY kept.key LIKE 'familiar:%', kept.key FOR UPDATE OF kept
    ), forgotten AS (
      DELETE FROM login_attempts USING held WHERE login_attempts.key = held.key AND ${condition}
    )`;
}

const FORGOTTEN = forgetting(sql`true`);

/** An operator unlocks an account, and does nothing else. */
export interface Unlocking {
  userId: string;
  /** The actor, as it stands in rows. */
  by: string;
  trail?: Trail | undefined;
}

const USER_UNLOCKED = eventOf({
  from: sql`asked`,
  where: sql`EXISTS (SELECT FROM held)`,
  userId: sql`asked.user_id`,
});

/** Lets the next attempt at an account's password in, from whichever network. */
export async function forgetAttempts(
  database: Database,
  { account, keys }: Forgotten,
  { userId, by, trail }: Unlocking,
): Promise<void> {
  // Settles attempts at once: each has taken its points before this, and they go, or takes them afterwards, and they count. A repetition
  // finds no row, and writes all the same, so that its commit waits for all that must confirm the first one.
  await database.query({})`
    WITH asked AS MATERIALIZED (
      SELECT ${account}::text AS account, ${keys}::text[] AS keys, ${userId}::uuid AS user_id,
             clock_timestamp() AS now
    ), ${FORGOTTEN}${recorded(database, USER_UNLOCKED, { type: 'user.unlocked', actor: by }, trail)}
    UPDATE service SET epoch = epoch WHERE NOT EXISTS (SELECT FROM held)`;
}
