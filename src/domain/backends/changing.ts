/** A backend changes what it says of a session that it has opened: access tokens of before are dead at once, and the session lives on. */
import type { Json } from '@gatehouse/protocol';

import { nullable, type RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import type { Client } from '../clients.js';
import { AuthError, Reason } from '../errors.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import { firstRow } from '../service/service-row.js';
import { actorOfClient } from '../sessions/actors.js';
import { STANDS } from '../sessions/standing.js';
import type { TokenRules } from '../tokens/claims.js';
import {
  mergePatch,
  readClaims,
  writeClaims,
  type ChangeableClaim,
  type SessionClaims,
} from '../tokens/session-claims.js';
import { assertMayBeSaid, refusedTime } from './said.js';

/** A merge patch (RFC 7396): null takes a claim away. */
export type ClaimsPatch = { [Name in ChangeableClaim]?: SessionClaims[Name] | null | undefined };

const CHANGED_COLUMNS = {
  id: 'uuid',
  externalId: 'text',
  claims: 'text',
  openedAt: 'timestamptz',
  expiresAt: 'timestamptz',
} as const;

/** A session as its client sees it. */
export type ClientSession = RowOf<typeof CHANGED_COLUMNS>;

const SESSION_CHANGED = eventOf({
  from: sql`changed`,
  userId: sql`changed.user_id`,
  sessionId: sql`changed.id`,
  clientId: sql`changed.client_id`,
});

/** Somebody else would have to change the same session this often meanwhile before we say that we cannot know. */
const MAX_ATTEMPTS = 5;

const NO_SUCH_SESSION = 'There is no such session of this client, or it has ended.';

/** The session of a client that is not known to have ended; null otherwise. Which client's it is never changes. */
export async function findOfClient(
  database: Database,
  client: Client,
  sid: string,
): Promise<{ userId: string; externalId: string; claims: string; ver: number } | null> {
  const [found] = await database.query({ userId: 'uuid', externalId: 'text', claims: 'text', ver: 'float8' })`
    SELECT sessions.user_id AS "userId", users.external_id AS "externalId", sessions.claims, sessions.ver::float8 AS ver
    FROM sessions JOIN users ON users.id = sessions.user_id
    WHERE sessions.id = ${sid}::uuid AND users.client_id = ${client.id} AND sessions.claims IS NOT NULL`;
  return found ?? null;
}

/**
 * Changes the claims of a session that stands. A change of nothing raises nothing, and no token dies of it.
 *
 * @throws {AuthError} not_found; invalid_request where tokens would be too long, `ext` too large, or `auth_time` is a time to come
 */
export async function changeOfClient(
  database: Database,
  client: Client,
  sid: string,
  patch: ClaimsPatch,
  rules: Pick<TokenRules, 'issuer' | 'audience'>,
  trail?: Trail,
): Promise<ClientSession> {
  let tried: number | null = null;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const found = await findOfClient(database, client, sid);
    // Where nobody has changed it since it was tried, it has ended. Its claims alone do not tell: two changes may have led back to them.
    if (found === null || found.ver === tried) throw new AuthError('not_found', { detail: NO_SUCH_SESSION });
    tried = found.ver;
    const before = readClaims(found.claims);
    const after = mergePatch(before as unknown as Json, patch as unknown as Json) as unknown as SessionClaims;
    assertMayBeSaid(client, found.externalId, after, rules);
    const changed = (Object.keys(patch) as ChangeableClaim[]).filter(
      (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
    );
    const facts = {
      type: changed.length === 0 ? null : 'session.changed',
      actor: actorOfClient(client),
      detail: { changed },
    } as const;
    // Settles two changes of one session: each is made to the claims that it has read, or not at all, and is tried again. Settles refreshes in
    // flight on the session's row: a refresh that was first has tokens of the number that this raises, and one that waited mints with what is
    // said now. A change of nothing writes as well, so that its commit waits for all that must confirm the first one.
    const rows = await database.query({ ...nullable(CHANGED_COLUMNS), isToCome: 'bool' })`
      WITH clock AS MATERIALIZED (
        SELECT date_trunc('milliseconds', clock_timestamp()) AS now,
               ${patch.auth_time ?? null}::float8 > extract(epoch FROM clock_timestamp()) IS TRUE AS is_to_come
      ), changed AS (
        UPDATE sessions SET claims = ${writeClaims(after)}, ver = sessions.ver + ${changed.length === 0 ? 0 : 1}::int8
        FROM clock, users, service
        WHERE sessions.id = ${sid}::uuid AND sessions.ver = ${found.ver}::int8 AND sessions.expires_at > now
          AND users.client_id = ${client.id} AND NOT clock.is_to_come AND ${STANDS}
        RETURNING sessions.*, users.client_id, users.external_id, now
      )${recorded(database, SESSION_CHANGED, facts, trail)}
      SELECT changed.id, external_id AS "externalId", claims, opened_at AS "openedAt", expires_at AS "expiresAt", is_to_come AS "isToCome"
      FROM clock LEFT JOIN changed ON true`;
    const { isToCome, ...session } = firstRow(rows);
    if (isToCome) throw refusedTime();
    if (isChanged(session)) return session;
  }
  throw new AuthError('temporarily_unavailable', { cause: new Reason('the session keeps changing') });
}

function isChanged(row: { [Name in keyof ClientSession]: ClientSession[Name] | null }): row is ClientSession {
  return row.id !== null;
}
