/** Revocations as operators look them up: latest first, page by page; each filter is served by an index. */
import type { RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { IS_BY_OTHERS, IS_BY_USER, readActor } from '../sessions/actors.js';
import { IS_LIFTABLE, TARGET } from '../sessions/standing.js';
import { readPage, type Page, type PageOrder } from './pages.js';

const REVOCATION_COLUMNS = {
  id: 'uuid',
  /** The call that wrote it, perhaps with others; null for what users and clients end. */
  endingId: 'uuid?',
  /** `token`, `session` or `user`. */
  kind: 'text',
  /** The lineage or the session; null for `user`. */
  target: 'uuid?',
  userId: 'uuid?',
  /** Where everybody's sessions were ended that were opened before it. */
  openedBefore: 'timestamptz?',
  reason: 'text',
  note: 'text?',
  actor: 'text',
  revokedAt: 'timestamptz',
  keptUntil: 'timestamptz',
  isLiftable: 'bool',
  liftedAt: 'timestamptz?',
  liftedBy: 'text?',
  liftNote: 'text?',
} as const;

export type FoundRevocation = RowOf<typeof REVOCATION_COLUMNS>;

export interface RevocationFilter {
  userId: string | null;
  /** What has ended this session by itself, for good or not. */
  sessionId: string | null;
  endingId: string | null;
  /** As it stands in rows; `user` for all users. */
  actor: string | null;
  since: Date | null;
  until: Date | null;
}

const FOUND_REVOCATION = sql`revocations.id, revocations.ending_id AS "endingId", revocations.kind::text, ${TARGET} AS target,
           revocations.user_id AS "userId", revocations.opened_before AS "openedBefore", revocations.reason, revocations.note,
           revocations.actor, revocations.revoked_at AS "revokedAt", revocations.kept_until AS "keptUntil",
           ${IS_LIFTABLE} AS "isLiftable", revocations.lifted_at AS "liftedAt", revocations.lifted_by AS "liftedBy",
           revocations.lift_note AS "liftNote"`;

export async function findRevocations(
  database: Database,
  filter: RevocationFilter,
  order: PageOrder,
): Promise<Page<FoundRevocation>> {
  const { userId, sessionId, endingId, since, until } = filter;
  const { isByUser, ofUser, other } = readActor(filter.actor);
  return await readPage(
    { name: 'revocations', filter },
    order,
    ({ id, revokedAt }) => ({ at: revokedAt, id }),
    // What has ended one session is few rows, which are sorted; all others are read in the order of an index.
    (after, count) =>
      sessionId === null
        ? database.query(REVOCATION_COLUMNS)`
          SELECT ${FOUND_REVOCATION}
          FROM revocations
          WHERE (${userId}::uuid IS NULL OR user_id = ${userId}::uuid)
            AND (${endingId}::uuid IS NULL OR ending_id = ${endingId}::uuid)
            AND (NOT ${isByUser}::boolean OR ${IS_BY_USER})
            AND (${ofUser}::uuid IS NULL OR user_id = ${ofUser}::uuid)
            AND (${other}::text IS NULL OR actor = ${other}::text AND ${IS_BY_OTHERS})
            AND (${since}::timestamptz IS NULL OR revoked_at >= ${since}::timestamptz)
            AND (${until}::timestamptz IS NULL OR revoked_at < ${until}::timestamptz)
            AND (${after?.id ?? null}::uuid IS NULL OR (revoked_at, id) < (${after?.at ?? null}::timestamptz, ${after?.id ?? null}::uuid))
          ORDER BY revoked_at DESC, id DESC
          LIMIT ${count}::int4`
        : database.query(REVOCATION_COLUMNS)`
          WITH of_session AS MATERIALIZED (
            SELECT * FROM revocations WHERE id = ${sessionId}::uuid
            UNION ALL
            SELECT * FROM revocations WHERE target = ${sessionId}::uuid
          )
          SELECT ${FOUND_REVOCATION}
          FROM of_session AS revocations
          WHERE (${userId}::uuid IS NULL OR user_id = ${userId}::uuid)
            AND (${endingId}::uuid IS NULL OR ending_id = ${endingId}::uuid)
            AND (NOT ${isByUser}::boolean OR ${IS_BY_USER})
            AND (${ofUser}::uuid IS NULL OR user_id = ${ofUser}::uuid)
            AND (${other}::text IS NULL OR actor = ${other}::text AND ${IS_BY_OTHERS})
            AND (${since}::timestamptz IS NULL OR revoked_at >= ${since}::timestamptz)
            AND (${until}::timestamptz IS NULL OR revoked_at < ${until}::timestamptz)
            AND (${after?.id ?? null}::uuid IS NULL OR (revoked_at, id) < (${after?.at ?? null}::timestamptz, ${after?.id ?? null}::uuid))
          ORDER BY revoked_at DESC, id DESC
          LIMIT ${count}::int4`,
  );
}

/** One row; null when it is not kept any more, or never was. */
export async function findRevocation(database: Database, id: string): Promise<FoundRevocation | null> {
  const [revocation] = await database.query(REVOCATION_COLUMNS)`
    SELECT ${FOUND_REVOCATION} FROM revocations WHERE revocations.id = ${id}::uuid`;
  return revocation ?? null;
}
