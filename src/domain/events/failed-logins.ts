/** Logins that failed. Nothing is acted on, so each is told of after the verdict, by a statement of its own. */
import { createHmac, hkdfSync } from 'node:crypto';

import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { AuthError, Reason } from '../errors.js';
import { nameOf } from '../guessing/guesses.js';
import { told, type Trail } from '../reports/told.js';
import { actorOfUser, GATEHOUSE } from '../sessions/actors.js';
import { eventOf, recorded } from './recorded.js';

const LOGIN_FAILED = eventOf({ from: sql`clock`, userId: sql`clock.user_id` });

/** What is told of: the service has decided. What could not be known, or was not asked, is another matter. */
const OUTCOMES = ['invalid_credentials', 'too_many_sessions'];

/**
 * @param secret AUTH_SECRET, from which the key is made under which names are hashed that nobody has: some people type their
 * password in the wrong field
 * @returns tells of a login that has failed, if it is one to be told of. It never rejects
 */
export function createFailedLogins(
  database: Database,
  secret: string,
): (error: unknown, typedUsername: string, trail: Trail) => Promise<void> {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse names in events v1', 32));

  return async (error, typedUsername, trail) => {
    if (database.events !== 'all' || !(error instanceof AuthError) || !OUTCOMES.includes(error.code)) return;
    const { user = null } = trail;
    const name = createHmac('sha256', key).update(nameOf(typedUsername)).digest('base64url');
    const facts = {
      type: 'login',
      // Of a wrong password nobody knows whose it was.
      actor: error.code === 'too_many_sessions' && user !== null ? actorOfUser(user) : GATEHOUSE,
      outcome: error.code,
      reason: error.cause instanceof Reason ? error.cause.message : null,
      ...(user === null && { detail: { name } }),
    } as const;
    try {
      // Settles nothing. Its commit waits for no disk and no standby: a primary that crashes forgets those of its last moment.
      await database.prepared('login_failed', { now: 'timestamptz' })`
        WITH at_once AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), clock AS MATERIALIZED (
          SELECT clock_timestamp() AS now, ${user}::uuid AS user_id FROM at_once
        )${recorded(database, LOGIN_FAILED, facts, trail)}
        SELECT now FROM clock`;
    } catch (cause) {
      // The verdict stands, and is answered: with a 503 in its place a caller would learn that there was something to write.
      told.unrecorded.tell({ type: 'login', events: 1, cause });
    }
  };
}
