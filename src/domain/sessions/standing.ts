/** *This session stands*: the one predicate that every statement about a session's tokens asks. */
import type { Database } from '../../database/prisma.js';
import { sql, type Fragment } from '../../database/sql.js';
import { parseJti, type AccessClaims } from '../tokens/claims.js';

/**
 * Whether an epoch is the one in force for the user in `users` (docs/decisions/0008-epochs.md). The difference of two epochs
 * fits their type whatever they are, which the sum of two would not. One row with an epoch near the most that there is
 * would fail a statement for everybody who shares it.
 */
function inForce(epoch: Fragment, comparison: Fragment): Fragment {
  return sql`${epoch} - service.epoch ${comparison} users.epoch`;
}

/** The epoch that sessions of the user in `users` are opened under now, as text, since only SQL reads it. */
export const EPOCH_IN_FORCE = sql`(users.epoch + service.epoch)::text`;

/** The epoch in `proved.epoch`, which was read with the password's hash, is still in force. */
export const PROVED_EPOCH_IS_IN_FORCE = inForce(sql`proved.epoch`, sql`=`);

/** Whether the user in `users` may log in and keep sessions. */
export const USER_IS_ENABLED = sql`users.disabled_at IS NULL`;

/** A revocation row ends what it names until it is lifted. Rows that end for good bear the id of what they end. */
function unrevoked(ids: Fragment): Fragment {
  return sql`NOT EXISTS (
      SELECT FROM revocations
      WHERE coalesce(revocations.target, revocations.id) IN (${ids}) AND revocations.lifted_at IS NULL
    )`;
}

/**
 * The access token in `asked` has the claims of now. A refresh token, which carries none that change, asks with null. The
 * difference, for the reason above.
 */
const CLAIMS_ARE_CURRENT = sql`(asked.ver IS NULL OR asked.ver - sessions.ver = users.ver)`;

/** The claims of tokens that are minted now: how often those of the user and of the session were changed. */
export const CLAIMS_VERSION = sql`(users.ver + sessions.ver)::float8`;

/**
 * Reads `sessions`, `users` and `service`, which the statement that splices it in must have in its FROM.
 *
 * @param comparison of the session's epoch with the epoch in force
 * @param ids of which none may be revoked
 */
function standing(comparison: Fragment, ids: Fragment): Fragment {
  return sql`(
    users.id = sessions.user_id AND ${USER_IS_ENABLED}
    AND sessions.ended_at IS NULL AND ${inForce(sql`sessions.epoch`, comparison)}
    AND (service.sessions_not_before IS NULL OR sessions.opened_at >= service.sessions_not_before)
    AND ${unrevoked(ids)}
  )`;
}

/** The session in `sessions` stands. Whether it has expired is another question, which its tokens answer by their `exp`. */
export const STANDS = standing(sql`=`, sql`sessions.id`);

/** The same, the lineage in `asked.lineage` is not revoked, and claims of the version `asked.ver` are in force. */
export const STANDS_WITH_TOKEN = sql`(${standing(sql`=`, sql`sessions.id, asked.lineage`)} AND ${CLAIMS_ARE_CURRENT})`;

/**
 * The same for an UPDATE of `sessions` that may have waited for the row. While it waited, logout-all may have stamped the
 * session that it keeps with an epoch later than the one in the statement's snapshot. No session is ever stamped
 * with an epoch that is not in force, so a later one stands.
 */
export const STANDS_OR_WAS_KEPT = standing(sql`>=`, sql`sessions.id`);

/** What a token is asked by: whose session, which session, which lineage, and which version of claims. */
export interface Asked {
  sub: string;
  sid: string;
  lineage: string;
  /** Null for a refresh token. */
  ver: number | null;
}

export function askedOf({
  sub,
  sid,
  jti,
  ver = 0,
}: Pick<AccessClaims, 'sub' | 'sid' | 'jti' | 'ver'>): Asked {
  return { sub, sid, lineage: parseJti(jti).lineage, ver };
}

/** Whether the session of a live access token still stands, when a statement has changed nothing and must say why. */
export async function isStanding(database: Database, { sub, sid, lineage, ver }: Asked): Promise<boolean> {
  const rows = await database.query({ id: 'uuid' })`
    SELECT sessions.id
    FROM (SELECT ${lineage}::uuid AS lineage, ${ver}::int8 AS ver) AS asked, sessions, users, service
    WHERE sessions.id = ${sid}::uuid AND users.id = ${sub}::uuid AND sessions.expires_at > clock_timestamp()
      AND ${STANDS_WITH_TOKEN}`;
  return rows.length > 0;
}
