/** What operators look up: sessions and revocations, newest first, page by page; each filter is served by an index. */
import type { RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { readAddress } from '../networks.js';
import { IS_BY_OTHERS, IS_BY_USER, readActor } from '../sessions/actors.js';
import { IS_LIFTABLE, STANDS, TARGET } from '../sessions/standing.js';
import { findBeyondLook } from './looked-at.js';
import { idsOfSpan, readPage, type Page, type PageOrder } from './pages.js';

const SESSION_COLUMNS = {
  id: 'uuid',
  userId: 'uuid',
  username: 'text',
  openedAt: 'timestamptz',
  rotatedAt: 'timestamptz',
  expiresAt: 'timestamptz',
  /** When it was ended for good, by itself; ends by epochs and by operators are rows of revocations. */
  endedAt: 'timestamptz?',
  /** It stands and has not expired. */
  isLive: 'bool',
  ip: 'text?',
  userAgent: 'text?',
} as const;

/** A session as operators see it, ended or not, as long as its row is kept. */
export type FoundSession = RowOf<typeof SESSION_COLUMNS>;

export interface SessionFilter {
  userId: string | null;
  /** Spellings of one network; null for all. */
  networks: readonly string[] | null;
  /** Opened from here on, and before `until`. */
  since: Date | null;
  until: Date | null;
}

const FOUND_SESSION = sql`sessions.id, sessions.user_id AS "userId", users.username, sessions.opened_at AS "openedAt",
           sessions.rotated_at AS "rotatedAt", sessions.expires_at AS "expiresAt", sessions.ended_at AS "endedAt",
           sessions.expires_at > clock_timestamp() AND ${STANDS} AS "isLive", host(sessions.ip) AS ip, sessions.user_agent AS "userAgent"`;

const FOUND_ON_PAGE = sql`SELECT ${FOUND_SESSION}
            FROM page AS sessions, users, service
            WHERE users.id = sessions.user_id
            ORDER BY sessions.id DESC`;

/** Sessions, latest opened first. A page of a network ends where enough was looked at: it may be short, even empty, and not the last. */
export async function findSessions(
  database: Database,
  filter: SessionFilter,
  order: PageOrder,
): Promise<Page<FoundSession>> {
  const { userId, networks, since, until } = filter;
  const { first, last } = idsOfSpan(since, until);
  return await readPage(
    { name: 'sessions', filter },
    order,
    ({ id }) => ({ at: null, id }),
    async (after, count) => {
      const before = after === null || after.id > last ? last : after.id;
      const end = networks !== null && userId === null ? await findBeyondLook(database, first, before) : null;
      // The few of one user are sorted; all others are read in the order of the primary key. As one condition the planner would weigh
      // both against each other, and might read the whole table for a user who has none. Whether a session stands is asked of the
      // page alone: for more, the planner would read all revocations first.
      const rows =
        userId === null
          ? await database.query(SESSION_COLUMNS)`
            WITH page AS MATERIALIZED (
              SELECT * FROM sessions
              WHERE sessions.id >= ${end?.id ?? first}::uuid AND sessions.id < ${before}::uuid
                AND (${networks}::inet[] IS NULL OR sessions.ip <<= ANY (${networks}::inet[]))
              ORDER BY sessions.id DESC
              LIMIT ${count}::int4
            )
            ${FOUND_ON_PAGE}`
          : await database.query(SESSION_COLUMNS)`
            WITH of_user AS MATERIALIZED (
              SELECT id, ip FROM sessions WHERE sessions.user_id = ${userId}::uuid
            ), ids AS MATERIALIZED (
              SELECT id FROM of_user AS sessions
              WHERE sessions.id >= ${first}::uuid AND sessions.id < ${before}::uuid
                AND (${networks}::inet[] IS NULL OR sessions.ip <<= ANY (${networks}::inet[]))
              ORDER BY sessions.id DESC
              LIMIT ${count}::int4
            ), page AS MATERIALIZED (
              SELECT sessions.* FROM ids, sessions WHERE sessions.id = ids.id
            )
            ${FOUND_ON_PAGE}`;
      return { rows: rows.map(withReadAddress), end };
    },
  );
}

/** One session, ended or not; null when no row of it is kept. */
export async function findSession(database: Database, id: string): Promise<FoundSession | null> {
  const [session] = await database.query(SESSION_COLUMNS)`
    SELECT ${FOUND_SESSION} FROM sessions, users, service WHERE users.id = sessions.user_id AND sessions.id = ${id}::uuid`;
  return session === undefined ? null : withReadAddress(session);
}

/** An older version kept mapped addresses as they came. */
function withReadAddress(session: FoundSession): FoundSession {
  return { ...session, ip: readAddress(session.ip ?? '') };
}

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
