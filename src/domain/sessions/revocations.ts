/** What was ended, whose, why and by whom: written, shown, and forgotten when it can no longer matter. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { AccessToken } from '../tokens/reader.js';
import type { Ending } from './endings.js';
import { STANDS_OR_IS_HELD } from './standing.js';
import { told, type Trail } from '../reports/told.js';
import { RETENTION } from '../tokens/grace.js';

/** Rows that go in one statement, at most. */
const PRUNE_BATCH = 1000;

/** Between two such statements others have the database to themselves. */
const PRUNE_PAUSE_MS = 10;

/** Advisory lock of whoever prunes; any number will do that nobody else uses. */
export const PRUNE_LOCK = 0x6761_7465;

const LISTED_COLUMNS = {
  /** `token`, `session` or `user`. */
  kind: 'text',
  /** The lineage or the session; null for `user`. */
  id: 'uuid?',
  username: 'text?',
  userId: 'uuid?',
  reason: 'text',
  actor: 'text',
  revokedAt: 'timestamptz',
  keptUntil: 'timestamptz',
  /** From when on it ends nothing. */
  liftedAt: 'timestamptz?',
} as const;

export type ListedRevocation = RowOf<typeof LISTED_COLUMNS>;

const TOKEN_REVOKED = eventOf({
  from: sql`revoked`,
  where: sql`revoked.is_new`,
  userId: sql`revoked.user_id`,
  sessionId: sql`revoked.session_id`,
});

/** Ends an access token with all that it was and will be reissued as; its session lives on. */
export async function revokeToken(
  database: Database,
  { claims, question }: AccessToken,
  { reason, actor }: Ending,
  trail?: Trail,
): Promise<void> {
  // Settles two revocations of one lineage: the second waits for the first one's commit and changes nothing, but writes
  // as well, so that its own commit waits for all that must confirm the first. It also settles a new password that the
  // token asks for (passwords/replacement.ts): if that was first, the row tells from now on that the token was revoked.
  const { userId, sid, lineage } = question;
  const facts = { type: 'token.revoked', actor, reason, detail: { lineage } } as const;
  const [row] = await database.prepared('revoke_token', { isNew: 'bool' })`
    WITH revoked AS (
      INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
      VALUES (${lineage}::uuid, 'token', ${userId}::uuid, ${reason}, ${actor},
              clock_timestamp(), to_timestamp(${claims.session_exp}::float8) + ${RETENTION})
      ON CONFLICT (id) DO UPDATE SET
        reason = CASE WHEN revocations.reason = 'password_changed' THEN excluded.reason ELSE revocations.reason END,
        actor = CASE WHEN revocations.reason = 'password_changed' THEN excluded.actor ELSE revocations.actor END
      RETURNING user_id, ${sid}::uuid AS session_id, revoked_at AS now, xmax = 0 AND EXISTS (
        SELECT FROM sessions, users, service
        WHERE sessions.id = ${sid}::uuid AND sessions.expires_at > clock_timestamp() AND ${STANDS_OR_IS_HELD}
      ) AS is_new
    )${recorded(database, TOKEN_REVOKED, facts, trail)}
    SELECT is_new AS "isNew" FROM revoked`;
  // A row that was only updated carries the id of the transaction that locked it. With its session the token had ended before, unless an
  // operator's row holds the session: after the lift this row alone ends the token.
  if (row?.isNew === true) told.end.tell({ ended: 'token', reason, actor }, trail);
}

/** The latest revocations, newest first. In SQL, since a revocation outlives its user and Prisma's schema knows no relation. */
export async function listRevocations(database: Database, limit: number): Promise<ListedRevocation[]> {
  return await database.query(LISTED_COLUMNS)`
    SELECT kind::text, CASE WHEN kind <> 'user' THEN coalesce(target, revocations.id) END AS id, username, user_id AS "userId",
           reason, actor, revoked_at AS "revokedAt", kept_until AS "keptUntil", lifted_at AS "liftedAt"
    FROM (
      SELECT * FROM revocations ORDER BY revoked_at DESC, id LIMIT ${limit}::int4
    ) AS revocations LEFT JOIN users ON users.id = user_id
    ORDER BY revoked_at DESC, revocations.id`;
}

/**
 * Deletes one batch of revocations and sessions that can no longer matter.
 *
 * @param options.waitTurn wait for another replica that prunes; otherwise leave it the work and return 0
 * @returns how many rows went; less than a full batch when nothing is left to do
 */
export async function pruneBatch(
  database: Database,
  options: { waitTurn: boolean },
): Promise<{ rows: number; isLast: boolean }> {
  // Settles two replicas that prune at once (the advisory lock, held until commit, lets one do it) and rows that a
  // request is writing (SKIP LOCKED passes them by). Sessions stay as long beyond their end as their revocations. They go
  // first: should the clock of a promoted primary then be behind, a session without its revocation must not be left.
  // The index is by ten minutes (docs/decisions/0015-storage.md) and is used where its expression is repeated. Rows are
  // deleted by where they lie: for a list of ids whose length it cannot know the planner reads the whole table.
  const [row] = await database.query({ revocations: 'int4', sessions: 'int4' })`
    WITH turn AS MATERIALIZED (
      SELECT CASE WHEN ${options.waitTurn}::boolean THEN pg_advisory_xact_lock(${PRUNE_LOCK}::bigint)::text IS NOT NULL
             ELSE pg_try_advisory_xact_lock(${PRUNE_LOCK}::bigint) END AS mine
    ), clock AS MATERIALIZED (
      SELECT clock_timestamp() AS now FROM turn WHERE mine
    ), closed AS (
      DELETE FROM sessions WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sessions
        WHERE expires_at <= (SELECT now FROM clock) - ${RETENTION}
          AND date_bin('10 minutes', expires_at, 'epoch') <= (SELECT now FROM clock) - ${RETENTION}
        ORDER BY date_bin('10 minutes', expires_at, 'epoch')
        LIMIT ${PRUNE_BATCH}::int4 FOR UPDATE SKIP LOCKED
      )) RETURNING id
    ), forgotten AS (
      DELETE FROM revocations WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM revocations
        WHERE kept_until <= (SELECT now FROM clock)
          AND date_bin('10 minutes', kept_until, 'epoch') <= (SELECT now FROM clock)
        ORDER BY date_bin('10 minutes', kept_until, 'epoch')
        LIMIT ${PRUNE_BATCH}::int4 - (SELECT count(*) FROM closed) FOR UPDATE SKIP LOCKED
      )) RETURNING id
    )
    SELECT (SELECT count(*) FROM forgotten)::int4 AS revocations, (SELECT count(*) FROM closed)::int4 AS sessions`;
  const { revocations = 0, sessions = 0 } = row ?? {};
  return { rows: revocations + sessions, isLast: revocations + sessions < PRUNE_BATCH };
}

/** Deletes everything that can no longer matter, batch by batch; stops early when `signal` says so. */
export async function prune(
  database: Database,
  options: { waitTurn: boolean; signal?: AbortSignal },
): Promise<number> {
  let total = 0;
  for (;;) {
    const { rows, isLast } = await pruneBatch(database, options);
    total += rows;
    if (isLast || options.signal?.aborted === true) return total;
    await sleep(PRUNE_PAUSE_MS);
  }
}
