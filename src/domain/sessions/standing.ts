/** *This session stands*: the one predicate that every statement about a session's tokens asks. */
import type { Database } from '../../database/prisma.js';
import { sql, type Fragment } from '../../database/sql.js';
import { mayBeOpen } from '../liveness/beat.js';
import type { Asked } from '../tokens/asked.js';

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

/** The same for a code, `codes.epoch`. */
export const CODE_EPOCH_IS_IN_FORCE = inForce(sql`codes.epoch`, sql`=`);
/** The epoch in force of the user in `users`, as rows keep it. */
export const EPOCH_TO_KEEP = sql`(users.epoch + service.epoch)`;

/** Whether the user in `users` may log in and keep sessions. */
export const USER_IS_ENABLED = sql`users.disabled_at IS NULL`;

/** The user in `users` was deleted, and is disabled for good; only the row is still there. */
export const IS_DELETED = sql`(users.deleted_at IS NOT NULL)`;

/** A revocation row ends what it names until it is lifted. Rows that end for good bear the id of what they end. */
const WHAT_IT_ENDS = sql`coalesce(revocations.target, revocations.id)`;
const IS_IN_FORCE = sql`revocations.lifted_at IS NULL`;
/** It was written by an operator, and ends nothing but its target. */
export const IS_LIFTABLE = sql`revocations.target IS NOT NULL`;
const IS_LIFTED = sql`revocations.id = lifted.id`;
/** What a row of revocations names: a lineage or a session, and for `user` nothing. */
export const TARGET = sql`CASE WHEN revocations.kind <> 'user' THEN ${WHAT_IT_ENDS} END`;

/**
 * No revocation in force names any of these.
 *
 * @param overlooked rows that do not count
 */
function unrevoked(ids: Fragment, overlooked = sql`false`): Fragment {
  return sql`NOT EXISTS (
      SELECT FROM revocations WHERE ${WHAT_IT_ENDS} IN (${ids}) AND ${IS_IN_FORCE} AND NOT ${overlooked}
    )`;
}

/** No revocation in force names the lineage in `asked.lineage`. */
export const IS_UNREVOKED_LINEAGE = unrevoked(sql`asked.lineage`);

/**
 * For a statement about many tokens, with their arrays `sids` and `lineages` in `given`: which of these ids are revoked. They are
 * read at once: to look for each by itself takes PostgreSQL as much time as all else that it does for a token.
 */
export const REVOKED_OF_GIVEN = sql`(
    SELECT ${WHAT_IT_ENDS} AS id FROM given, revocations
    WHERE ${WHAT_IT_ENDS} = ANY (given.sids || given.lineages) AND ${IS_IN_FORCE}
  )`;

/**
 * The access token in `asked` has the claims of now. A refresh token, which carries none that change, asks with null. The
 * difference, for the reason above.
 */
const CLAIMS_ARE_CURRENT = sql`(asked.ver IS NULL OR asked.ver - sessions.ver = users.ver)`;

/** The claims of tokens that are minted now: how often those of the user and of the session were changed. */
export const CLAIMS_VERSION = sql`(users.ver + sessions.ver)::float8`;

const IS_OPENED_LATE_ENOUGH = sql`(service.sessions_not_before IS NULL OR sessions.opened_at >= service.sessions_not_before)`;

/**
 * Reads `sessions`, `users` and `service`, which the statement that splices it in must have in its FROM.
 *
 * @param comparison of the session's epoch with the epoch in force
 * @param isUnrevoked what is asked of revocations
 * @param end what is asked of the session's own end: that there is none
 */
function standing(
  comparison: Fragment,
  isUnrevoked: Fragment,
  end = sql`sessions.ended_at IS NULL`,
): Fragment {
  return sql`(
    users.id = sessions.user_id AND ${USER_IS_ENABLED}
    AND ${end} AND ${inForce(sql`sessions.epoch`, comparison)}
    AND ${IS_OPENED_LATE_ENOUGH}
    AND ${isUnrevoked}
  )`;
}

/** The session in `sessions` stands. Whether it has expired is another question, which its tokens answer by their `exp`. */
export const STANDS = standing(sql`=`, unrevoked(sql`sessions.id`));

/** More than anybody is shown, by those that expired or were revoked a moment ago and that nobody has pruned yet. */
const MOST_READ = 10_000;

/**
 * The sessions of the user in `users` that may stand, latest opened first, for a LATERAL in the FROM: a user may have hundreds of
 * thousands of them. They are read in the order of the index `sessions_of_user_idx`, without those that have ended or are of an
 * epoch of before, and the reader stops when it has enough. Whether one stands is still to be asked. The limit makes the
 * planner choose the index: it takes all that {@link STANDS} says for so rare that it would rather read the whole table.
 */
export const LATEST_OF_USER = sql`(
    SELECT * FROM sessions
    WHERE sessions.user_id = users.id AND sessions.epoch = users.epoch + service.epoch AND sessions.ended_at IS NULL
    ORDER BY sessions.id DESC
    LIMIT ${MOST_READ}
  )`;

/** The same, the lineage in `asked.lineage` is not revoked, and claims of the version `asked.ver` are in force. */
export const STANDS_WITH_TOKEN = withToken(unrevoked(sql`sessions.id, asked.lineage`));

/** The same in a statement that has {@link REVOKED_OF_GIVEN} as `revoked`. */
export const STANDS_WITH_TOKEN_OF_GIVEN = withToken(
  sql`NOT EXISTS (SELECT FROM revoked WHERE revoked.id IN (sessions.id, asked.lineage))`,
);

function withToken(isUnrevoked: Fragment): Fragment {
  return sql`(${standing(sql`=`, isUnrevoked)} AND ${CLAIMS_ARE_CURRENT})`;
}

/** Whether a row that can be lifted is in force against the session in `asked.id`. */
export const IS_HELD = sql`EXISTS (
      SELECT FROM revocations WHERE ${WHAT_IT_ENDS} = asked.id AND ${IS_LIFTABLE} AND ${IS_IN_FORCE}
    )`;

/** Nothing has ended the session in `sessions` for good: it stands, or a lift may give it back. */
const IS_UNREVOKED_BUT_HELD = unrevoked(sql`sessions.id`, IS_LIFTABLE);
export const STANDS_OR_IS_HELD = standing(sql`=`, IS_UNREVOKED_BUT_HELD);

/**
 * {@link STANDS} for an UPDATE of `sessions` that may have waited for the row. While it waited, logout-all may have stamped the
 * session that it keeps with an epoch later than the one in the statement's snapshot. No session is ever stamped
 * with an epoch that is not in force, so a later one stands. Rows that can be lifted do not count: a token that is used again tells
 * of a theft all the same, which the lift must not undo.
 */
export const STANDS_WAS_KEPT_OR_IS_HELD = standing(sql`>=`, IS_UNREVOKED_BUT_HELD);

/** Rows that can be lifted, and that others than the actor in `asked.actor` have written: its own end must outlive their lift. */
const IS_HELD_BY_OTHERS = sql`(${IS_LIFTABLE} AND revocations.actor <> asked.actor)`;
export const STANDS_BUT_FOR_OTHERS = standing(sql`=`, unrevoked(sql`sessions.id`, IS_HELD_BY_OTHERS));
export const IS_UNREVOKED_BUT_FOR_OTHERS = unrevoked(sql`asked.lineage`, IS_HELD_BY_OTHERS);

/** The row in `lifted` aside, the session in `sessions` stands; or, of a token, nothing else has ended its lineage. */
export const STANDS_WITHOUT_LIFTED = standing(sql`=`, unrevoked(sql`sessions.id`, IS_LIFTED));
export const IS_UNREVOKED_WITHOUT_LIFTED = unrevoked(sql`lifted.target`, IS_LIFTED);

/** For what an UPDATE of `sessions` returns that has just ended it, at `now`: nothing had ended it for good until then. */
export const STOOD_UNTIL_NOW = standing(sql`>=`, IS_UNREVOKED_BUT_HELD, sql`sessions.ended_at = now`);

/** Of a session that a new password has ended: the change can be repeated, `replay_window` from then on, outages not counted. */
export const MAY_BE_REPEATED = mayBeOpen(sql`sessions.ended_at`, sql`replay_window`);

/**
 * The session in `sessions` and the token in `asked` would live but for the user's own new password, for which this very
 * session asked within `asked.replay_window`: that has raised the epoch once, ended the session, named the one that it
 * opened instead, and revoked the lineage that asked. Reads `beat` as well.
 */
export const WAS_JUST_REPLACED = sql`(${standing(
  sql`= -1 +`,
  unrevoked(
    sql`sessions.id, asked.lineage`,
    sql`(revocations.reason = 'password_changed' AND NOT ${IS_LIFTABLE})`,
  ),
  sql`sessions.succeeded_by IS NOT NULL`,
)} AND ${CLAIMS_ARE_CURRENT} AND asked.expires_at > asked.now AND ${MAY_BE_REPEATED})`;

/** No operator has ended the session in `sessions`, or the lineage in `asked.lineage`, but by an epoch. */
export const IS_LEFT_BY_OPERATORS = sql`(${IS_OPENED_LATE_ENOUGH}
    AND ${unrevoked(sql`sessions.id, asked.lineage`, sql`NOT ${IS_LIFTABLE}`)})`;

/** Whether the session of a live access token still stands, when a statement has changed nothing and must say why. */
export async function isStanding(database: Database, { userId, sid, lineage, ver }: Asked): Promise<boolean> {
  const rows = await database.query({ id: 'uuid' })`
    SELECT sessions.id
    FROM (SELECT ${lineage}::uuid AS lineage, ${ver}::int8 AS ver) AS asked, sessions, users, service
    WHERE sessions.id = ${sid}::uuid AND users.id = ${userId}::uuid AND sessions.expires_at > clock_timestamp()
      AND ${STANDS_WITH_TOKEN}`;
  return rows.length > 0;
}
