/** Users as operators look them up: latest id first, page by page. */
import type { Database } from '../../database/prisma.js';
import { IS_DELETED, USER_IS_ENABLED } from '../sessions/standing.js';
import { subjectId } from '../tokens/subjects.js';
import { USER_COLUMNS, USER_SHOWN, withLocks, type FoundUser } from '../users/found.js';
import { LAST_ID, readPage, type Page, type PageOrder } from './pages.js';

export interface UserFilter {
  /** Canonical. */
  username: string | null;
  isDisabled: boolean | null;
  /** Of a client's users, all or the one that it calls so; null for all users. */
  ofClient: { clientId: string; externalId: string | null } | null;
}

/** Users, latest id first; ids of a client's users are in no order of time. */
export async function findUsers(
  database: Database,
  filter: UserFilter,
  order: PageOrder,
): Promise<Page<FoundUser>> {
  const { username, isDisabled, ofClient } = filter;
  const { clientId, externalId } = ofClient ?? { clientId: null, externalId: null };
  const subject = clientId === null || externalId === null ? null : subjectId(clientId, externalId);
  return await readPage(
    { name: 'users', filter },
    order,
    ({ id }) => ({ at: null, id }),
    async (after, count) => {
      const rows = await database.query(USER_COLUMNS)`
      SELECT ${USER_SHOWN}
      FROM users
      WHERE id < ${after?.id ?? LAST_ID}::uuid AND NOT ${IS_DELETED}
        AND (${username}::text IS NULL OR username = ${username}::text)
        AND (${clientId}::text IS NULL OR client_id = ${clientId}::text)
        AND (${subject}::uuid IS NULL OR id = ${subject}::uuid)
        AND (${isDisabled !== true}::boolean OR NOT ${USER_IS_ENABLED})
        AND (${isDisabled !== false}::boolean OR ${USER_IS_ENABLED})
      ORDER BY id DESC
      LIMIT ${count}::int4`;
      return await withLocks(database, rows);
    },
  );
}
