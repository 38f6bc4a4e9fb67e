/** Sessions as operators look them up: latest opened first, page by page; each filter is served by an index. */
import type { RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { readAddress } from '../networks.js';
import { STANDS } from '../sessions/standing.js';
import { findBeyondLook } from './looked-at.js';
import { idsOfSpan, readPage, type Page, type PageOrder } from './pages.js';

const SESSION_COLUMNS = {
  id: 'uuid',
  userId: 'uuid',
  username: 'text',
  /** The client that has opened it, and what that calls the user; null for a login. */
  clientId: 'text?',
  externalId: 'text?',
  /** What that client says of it (tokens/session-claims.ts), as it is kept. */
  claims: 'text?',
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
  /** Opened from here on. */
  since: Date | null;
  /** Opened before. */
  until: Date | null;
}

const FOUND_SESSION = sql`sessions.id, sessions.user_id AS "userId", users.username, users.client_id AS "clientId",
           users.external_id AS "externalId", sessions.claims, sessions.opened_at AS "openedAt",
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
