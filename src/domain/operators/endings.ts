/** How operators end what has leaked: some sessions, a token, all that users have, or everything; each in one SQL statement. */
import { randomUUID } from 'node:crypto';

import { nullable, type RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql, type Fragment } from '../../database/sql.js';
import { AuthError } from '../errors.js';
import { told, type EndTold, type Trail } from '../reports/told.js';
import { eventOf, recorded, type Facts } from '../events/recorded.js';
import { readAddress } from '../networks.js';
import { firstRow } from '../service/service-row.js';
import { firstIdOf } from '../sessions/ids.js';
import { KEPT_UNTIL_ALL_ENDED } from '../sessions/kept.js';
import {
  IS_UNREVOKED_BUT_FOR_OTHERS,
  IS_UNREVOKED_LINEAGE,
  LATEST_OF_USER,
  STANDS,
  STANDS_BUT_FOR_OTHERS,
} from '../sessions/standing.js';
import { RETENTION } from '../tokens/grace.js';
import type { ReadToken } from '../tokens/reader.js';
import { findBeyondLook, MOST_LOOKED_AT } from './looked-at.js';
import { DEFAULT_REASON } from './notes.js';
import { idsOfSpan } from './pages.js';

/** More than this is never counted, and never ended one by one. */
export const MOST_ENDED = 10_000;

/** Where nothing else is asked for; ends by epochs have no limit then. */
export const DEFAULT_MAX_SESSIONS = 1000;
export const MOST_NAMED = 1000;

/** A session that will be opened cannot be ended. */
const TO_COME =
  'The time is later than the clock of the database. Use `now` to end what is being opened, too.';

const TOO_LONG = `More than ${MOST_LOOKED_AT} sessions were opened in this time, which is more than are looked at in one call. So nothing has ended: cut the time into parts, and end them in one part after the other.`;

/** Of the sessions that would end, so many are shown beforehand. */
const MOST_SHOWN = 10;

/** What is to be ended. */
export type Doomed =
  | { sessionIds: readonly string[] }
  | { userIds: readonly string[] }
  /** Sessions that were opened from an address of these networks, from `since` on and before `until`. */
  | { networks: readonly string[]; since: Date; until: Date }
  /** Sessions that this client has opened in that time; it may have been removed. */
  | { clientId: string; since: Date; until: Date }
  /** A session, where `id` is one's; otherwise the access tokens of this lineage. */
  | { lineage: string }
  | { token: ReadToken }
  /** Every session that was opened before; of everybody, those that are being opened included, where it is null. */
  | { openedBefore: Date | null };

export interface EndingOrder {
  /** The actor, as it stands in rows. */
  actor: string;
  reason: string;
  note: string | null;
  /** With more sessions than this nothing is ended; null for {@link DEFAULT_MAX_SESSIONS}, or, with ends by epochs, for no limit. */
  maxSessions: number | null;
  /** Nothing is ended; what would end is counted and shown. */
  isDryRun: boolean;
}

/** A session that ends, as it is shown beforehand. */
export interface ShownSession {
  id: string;
  userId: string;
  openedAt: Date;
  ip: string | null;
}

export interface EndingOutcome {
  /** In all rows that this call has written. */
  endingId: string;
  users: number;
  sessions: number;
  /** Lineages of access tokens. */
  tokens: number;
  /** Whether there are more sessions than were counted. */
  isMore: boolean;
  isLiftable: boolean;
  /** By the primary's clock. */
  effectiveAt: Date;
  /** Some of the sessions, latest opened first, where nothing was ended. */
  sample: ShownSession[];
}

/** What would end. */
export type Foreseen = Pick<EndingOutcome, 'users' | 'sessions' | 'tokens' | 'isMore' | 'sample'>;

const OUTCOME_COLUMNS = {
  users: 'int4',
  sessions: 'int4',
  tokens: 'int4',
  isMore: 'bool',
  isRefused: 'bool',
  isToCome: 'bool',
  /** How many rows this call has written. */
  written: 'int4',
  now: 'timestamptz',
  ...nullable({ id: 'uuid', userId: 'uuid', openedAt: 'timestamptz', ip: 'text' }),
} as const;

type OutcomeRow = RowOf<typeof OUTCOME_COLUMNS>;

/**
 * Ends it, with everything that was and will be minted for it.
 *
 * @throws {AuthError} too_many_sessions when more would end than `maxSessions` says; invalid_request for a time to come, and for a
 * network in a time in which more than {@link MOST_LOOKED_AT} sessions were opened: then nothing has ended
 */
export async function end(
  database: Database,
  doomed: Doomed,
  order: EndingOrder,
  trail?: Trail,
): Promise<EndingOutcome> {
  const isByEpoch = 'userIds' in doomed || 'openedBefore' in doomed;
  const maxSessions = order.maxSessions ?? (isByEpoch ? null : DEFAULT_MAX_SESSIONS);
  const { reason, note, actor, isDryRun } = order;
  const endingId = randomUUID();
  const words = { ending_id: endingId, reason, note, actor, max_sessions: maxSessions, is_dry_run: isDryRun };
  const rows = await ask(database, doomed, words, trail);
  const { users, sessions, tokens, isMore, isRefused, isToCome, written, now } = firstRow(rows);
  if (isToCome) throw new AuthError('invalid_request', { detail: TO_COME });
  if (isRefused)
    throw new AuthError('too_many_sessions', {
      detail: `More than ${maxSessions ?? MOST_ENDED} sessions would end, or more than can be counted. So nothing has ended: look with \`dry_run\`, and raise \`max_sessions\`, which is at most ${MOST_ENDED}, or choose fewer.`,
    });
  const ended = isByEpoch ? 'user' : tokens > 0 ? 'token' : 'session';
  tell(written, { ended, reason: DEFAULT_REASON, actor }, trail);
  const sample = rows.flatMap(({ id, userId, openedAt, ip }) =>
    id === null || userId === null || openedAt === null
      ? []
      : [{ id, userId, openedAt, ip: readAddress(ip ?? '') }],
  );
  return { endingId, users, sessions, tokens, isMore, isLiftable: !isByEpoch, effectiveAt: now, sample };
}

function tell(times: number, end: EndTold, trail: Trail | undefined): void {
  for (let time = 0; time < times; time += 1) told.end.tell(end, trail);
}

/** An order as its statement reads it, in {@link ASKED}. */
interface Words {
  ending_id: string;
  reason: string;
  note: string | null;
  actor: string;
  max_sessions: number | null;
  is_dry_run: boolean;
}

async function ask(
  database: Database,
  doomed: Doomed,
  words: Words,
  trail: Trail | undefined,
): Promise<OutcomeRow[]> {
  if ('sessionIds' in doomed) return await endByIds(database, doomed.sessionIds, words, trail);
  if ('since' in doomed) return await endOfSpan(database, doomed, words, trail);
  if ('userIds' in doomed) return await endOfUsers(database, doomed.userIds, words, trail);
  if ('openedBefore' in doomed) return await endOpenedBefore(database, doomed.openedBefore, words, trail);
  if ('lineage' in doomed) return await endLineage(database, doomed.lineage, null, words, trail);
  const { kind, claims, question } = doomed.token;
  if (kind === 'refresh') return await endByIds(database, [claims.sid], words, trail);
  return await endLineage(
    database,
    question.lineage,
    { userId: question.userId, until: claims.session_exp },
    words,
    trail,
  );
}

/** The order in `given.words`, as one row. */
const ASKED = sql`asked AS MATERIALIZED (
      SELECT asked.* FROM given, jsonb_to_record(given.words) AS asked (
        ending_id uuid, reason text, note text, actor text, max_sessions int8, is_dry_run boolean, lineage uuid
      )
    )`;

const CLOCK = sql`clock AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS now)`;

/** What is known of each row afterwards. */
const WRITTEN = sql`revocations.kind, revocations.user_id, revocations.target`;

/** The columns of a row by this call, of which `doomed`, `asked`, `verdict` and `clock` tell. */
const ROW = sql`INSERT INTO revocations (id, kind, target, ending_id, user_id, reason, note, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), doomed.kind, doomed.target, asked.ending_id, doomed.user_id, asked.reason, asked.note, asked.actor, now,
             doomed.kept_until
      FROM doomed, asked, verdict, clock
      WHERE NOT asked.is_dry_run AND NOT verdict.is_refused
      RETURNING ${WRITTEN}`;

/** A call that finds nothing to end writes as well, so that its commit waits for all that must confirm the one that ended it. */
const WAIT_FOR_THE_FIRST = sql`UPDATE service SET epoch = epoch
      FROM asked, verdict
      WHERE NOT asked.is_dry_run AND NOT verdict.is_refused AND NOT EXISTS (SELECT FROM doomed)`;

/** How many there are in `doomed` that stood: the others get a row as well, which outlives the lift of another operator's. */
const VERDICT_ON_DOOMED = sql`verdict AS MATERIALIZED (
      SELECT count(*) FILTER (WHERE stood AND kind = 'session') AS sessions, count(*) FILTER (WHERE stood AND kind = 'token') AS tokens,
             count(DISTINCT user_id) FILTER (WHERE stood) AS users,
             count(*) FILTER (WHERE stood) > min(asked.max_sessions) AND NOT bool_or(asked.is_dry_run) AS is_refused,
             count(*) > ${MOST_ENDED} AS is_more, false AS is_to_come
      FROM asked LEFT JOIN doomed ON true
    )`;

/** What is answered, with {@link MOST_SHOWN} of the sessions in `doomed` where nothing has ended. */
const OUTCOME = sql`SELECT verdict.users::int4 AS users, verdict.sessions::int4 AS sessions, verdict.tokens::int4 AS tokens,
           verdict.is_more AS "isMore", verdict.is_refused AS "isRefused", verdict.is_to_come AS "isToCome", (SELECT count(*) FROM noted)::int4 AS written, clock.now,
           shown.id, shown.user_id AS "userId", shown.opened_at AS "openedAt", host(shown.ip) AS ip
    FROM verdict, clock, asked LEFT JOIN LATERAL (
      SELECT doomed.session_id AS id, doomed.user_id, doomed.opened_at, doomed.ip
      FROM doomed WHERE asked.is_dry_run AND doomed.stood AND doomed.session_id IS NOT NULL
      ORDER BY doomed.session_id DESC LIMIT ${MOST_SHOWN}
    ) AS shown ON true`;

/** However many have ended: one event. Whose it is, and which session, it says where there is one. */
const REVOCATION_ADDED = eventOf({
  from: sql`(
        SELECT count(*) AS rows, count(DISTINCT user_id) AS users, (array_agg(user_id))[1] AS user_id,
               (array_agg(target) FILTER (WHERE kind = 'session'))[1] AS session_id
        FROM noted
      ) AS written, verdict, asked, clock`,
  where: sql`written.rows > 0`,
  userId: sql`CASE WHEN written.users = 1 THEN written.user_id END`,
  sessionId: sql`CASE WHEN written.rows = 1 THEN written.session_id END`,
  detail: sql`jsonb_build_object('ending_id', asked.ending_id, 'users', verdict.users, 'sessions', verdict.sessions,
               'tokens', verdict.tokens, 'more', verdict.is_more)`,
});

function factsOf({ actor, reason, note }: Words): Facts {
  return { type: 'revocation.added', actor, reason, note };
}

/** A session as a row of `doomed`. */
function doomedSession(stood: Fragment): Fragment {
  return sql`'session'::revocation_kind AS kind, sessions.id AS target, sessions.id AS session_id, sessions.user_id,
             sessions.opened_at, sessions.ip, sessions.expires_at + ${RETENTION} AS kept_until, ${stood} AS stood`;
}
const DOOMED_SESSION = doomedSession(STANDS);
const DOOMED_STANDING_SESSION = doomedSession(sql`true`);

/** One more than may end tells that there are too many. */
const ONE_TOO_MANY = MOST_ENDED + 1;

async function endByIds(
  database: Database,
  ids: readonly string[],
  words: Words,
  trail: Trail | undefined,
): Promise<OutcomeRow[]> {
  // Settles an end against a refresh in flight, and against every other end, without a lock: the row counts for all tokens of the
  // session from its commit on, also those that are minted meanwhile. A logout or a theft at the same time ends the session by itself, for good.
  return await database.query(OUTCOME_COLUMNS)`
    WITH ${CLOCK}, given AS (SELECT ${JSON.stringify(words)}::jsonb AS words), ${ASKED}, doomed AS MATERIALIZED (
      SELECT ${DOOMED_SESSION}
      FROM asked, sessions, users, service, clock
      WHERE sessions.id = ANY (${ids}::uuid[]) AND sessions.expires_at > now AND ${STANDS_BUT_FOR_OTHERS}
    ), ${VERDICT_ON_DOOMED}, noted AS (${ROW}), waited AS (${WAIT_FOR_THE_FIRST})${recorded(database, REVOCATION_ADDED, factsOf(words), trail)}
    ${OUTCOME}`;
}

async function endOfSpan(
  database: Database,
  { since, until, ...of }: Extract<Doomed, { since: Date }>,
  words: Words,
  trail: Trail | undefined,
): Promise<OutcomeRow[]> {
  const { networks, clientId } = { networks: null, clientId: null, ...of };
  const { first, last } = idsOfSpan(since, until);
  // Nothing depends on this look but how long the statement takes: sessions that are opened after it are ended all the same.
  if ((await findBeyondLook(database, first, last)) !== null)
    throw new AuthError('invalid_request', { detail: TOO_LONG });
  // Settles the same. An opening that has not committed yet is not seen: ask again with a later time. The ids of sessions begin with the
  // time of their opening, so those of a span of time lie side by side in the primary key.
  return await database.query(OUTCOME_COLUMNS)`
    WITH ${CLOCK}, given AS (SELECT ${JSON.stringify(words)}::jsonb AS words), ${ASKED}, doomed AS MATERIALIZED (
      SELECT ${DOOMED_SESSION}
      FROM asked, sessions, users, service, clock
      WHERE sessions.id >= ${first}::uuid AND sessions.id < ${last}::uuid
        AND (${networks}::inet[] IS NULL OR sessions.ip <<= ANY (${networks}::inet[]))
        AND (${clientId}::text IS NULL OR users.client_id = ${clientId}::text AND sessions.claims IS NOT NULL)
        AND sessions.expires_at > now AND ${STANDS_BUT_FOR_OTHERS}
      LIMIT ${ONE_TOO_MANY}::int4
    ), ${VERDICT_ON_DOOMED}, noted AS (${ROW}), waited AS (${WAIT_FOR_THE_FIRST})${recorded(database, REVOCATION_ADDED, factsOf(words), trail)}
    ${OUTCOME}`;
}

/** Ends the session of this id; where there is none, the access tokens of the lineage, of which no row need be there to tell. */
async function endLineage(
  database: Database,
  lineage: string,
  token: { userId: string; until: number } | null,
  words: Words,
  trail: Trail | undefined,
): Promise<OutcomeRow[]> {
  // Settles the same. Two of these at once may both write a row: each is one that its own call can take back.
  return await database.query(OUTCOME_COLUMNS)`
    WITH ${CLOCK}, given AS (SELECT ${JSON.stringify({ ...words, lineage })}::jsonb AS words), ${ASKED}, doomed AS MATERIALIZED (
      SELECT ${DOOMED_SESSION}
      FROM asked, sessions, users, service, clock
      WHERE sessions.id = asked.lineage AND sessions.expires_at > now AND ${STANDS_BUT_FOR_OTHERS}
      UNION ALL
      SELECT 'token', asked.lineage, NULL, ${token?.userId ?? null}::uuid, NULL, NULL,
             coalesce(to_timestamp(${token?.until ?? null}::float8) + ${RETENTION}, ${KEPT_UNTIL_ALL_ENDED}),
             ${IS_UNREVOKED_LINEAGE}
      FROM asked, clock
      WHERE NOT EXISTS (SELECT FROM sessions WHERE sessions.id = asked.lineage) AND ${IS_UNREVOKED_BUT_FOR_OTHERS}
    ), ${VERDICT_ON_DOOMED}, noted AS (${ROW}), waited AS (${WAIT_FOR_THE_FIRST})${recorded(database, REVOCATION_ADDED, factsOf(words), trail)}
    ${OUTCOME}`;
}

async function endOfUsers(
  database: Database,
  ids: readonly string[],
  words: Words,
  trail: Trail | undefined,
): Promise<OutcomeRow[]> {
  // Settles logins and refreshes in flight, which meet the raised epochs. Two of these at once lock the users in the same order.
  return await database.query(OUTCOME_COLUMNS)`
    WITH ${CLOCK}, given AS (SELECT ${JSON.stringify(words)}::jsonb AS words), ${ASKED}, named AS MATERIALIZED (
      SELECT id FROM users WHERE id = ANY (${ids}::uuid[])
    ), locked AS MATERIALIZED (
      SELECT users.id FROM users, asked WHERE users.id = ANY (${ids}::uuid[]) AND NOT asked.is_dry_run
      ORDER BY users.id FOR NO KEY UPDATE OF users
    ), doomed AS MATERIALIZED (
      SELECT ${DOOMED_STANDING_SESSION}
      FROM named, users, service, clock, LATERAL (
        SELECT * FROM ${LATEST_OF_USER} AS sessions WHERE sessions.expires_at > now AND ${STANDS} LIMIT ${ONE_TOO_MANY}::int4
      ) AS sessions
      WHERE users.id = named.id
      LIMIT ${ONE_TOO_MANY}::int4
    ), verdict AS MATERIALIZED (
      SELECT least(count(doomed.target), ${MOST_ENDED}::int8) AS sessions, 0 AS tokens, (SELECT count(*) FROM named) AS users,
             (count(doomed.target) > min(asked.max_sessions) AND NOT bool_or(asked.is_dry_run)) IS TRUE AS is_refused, count(doomed.target) > ${MOST_ENDED}::int8 AS is_more,
             false AS is_to_come
      FROM asked LEFT JOIN doomed ON true
    ), raised AS (
      UPDATE users SET epoch = users.epoch + 1
      FROM locked, verdict
      WHERE users.id = locked.id AND NOT verdict.is_refused
      RETURNING users.id, users.epoch - 1 AS ended
    ), noted AS (
      INSERT INTO revocations (id, kind, ending_id, user_id, epoch, reason, note, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', asked.ending_id, raised.id, raised.ended, asked.reason, asked.note, asked.actor, now,
             ${KEPT_UNTIL_ALL_ENDED}
      FROM raised, asked, clock
      RETURNING ${WRITTEN}
    )${recorded(database, REVOCATION_ADDED, factsOf(words), trail)}
    ${OUTCOME}`;
}

/** Of the latest opened; there may be a hundred million, and nobody waits for their count. */
const MOST_COUNTED_OF = 20_000;

async function endOpenedBefore(
  database: Database,
  openedBefore: Date | null,
  words: Words,
  trail: Trail | undefined,
): Promise<OutcomeRow[]> {
  // Settles logins in flight: without a time the service's epoch is raised, which each of them carries from when it read the password.
  // With a time, which has passed, a login opens its session later than that, or at that very time, which lives.
  return await database.query(OUTCOME_COLUMNS)`
    WITH ${CLOCK}, given AS (SELECT ${JSON.stringify(words)}::jsonb AS words), ${ASKED}, bound AS MATERIALIZED (
      SELECT ${openedBefore}::timestamptz AS opened_before
    ), latest AS MATERIALIZED (
      SELECT sessions.* FROM sessions, bound
      WHERE ${openedBefore === null}::boolean OR sessions.id < ${firstIdOf(openedBefore ?? new Date())}::uuid AND sessions.opened_at < bound.opened_before
      ORDER BY sessions.id DESC LIMIT ${MOST_COUNTED_OF}::int4
    ), doomed AS MATERIALIZED (
      SELECT ${DOOMED_STANDING_SESSION}
      FROM latest AS sessions, users, service, clock
      WHERE sessions.expires_at > now AND ${STANDS}
      LIMIT ${ONE_TOO_MANY}::int4
    ), counted AS MATERIALIZED (
      SELECT count(*) AS sessions, count(DISTINCT user_id) AS users,
             count(*) > ${MOST_ENDED}::int8 OR (SELECT count(*) FROM latest) = ${MOST_COUNTED_OF}::int8 AS is_more
      FROM doomed
    ), verdict AS MATERIALIZED (
      SELECT least(counted.sessions, ${MOST_ENDED}::int8) AS sessions, 0 AS tokens, counted.users, counted.is_more,
             (NOT asked.is_dry_run AND (counted.sessions > asked.max_sessions OR counted.is_more AND asked.max_sessions IS NOT NULL)) IS TRUE AS is_refused,
             (bound.opened_before > now) IS TRUE AS is_to_come
      FROM counted, asked, bound, clock
    ), raised AS (
      UPDATE service SET
        epoch = CASE WHEN bound.opened_before IS NULL THEN service.epoch + 1 ELSE service.epoch END,
        sessions_not_before = greatest(service.sessions_not_before, bound.opened_before)
      FROM asked, bound, verdict
      WHERE NOT asked.is_dry_run AND NOT verdict.is_refused AND NOT verdict.is_to_come
      RETURNING CASE WHEN bound.opened_before IS NULL THEN service.epoch - 1 END AS ended
    ), noted AS (
      INSERT INTO revocations (id, kind, ending_id, epoch, opened_before, reason, note, actor, revoked_at, kept_until)
      SELECT gen_random_uuid(), 'user', asked.ending_id, raised.ended, bound.opened_before, asked.reason, asked.note, asked.actor, now,
             ${KEPT_UNTIL_ALL_ENDED}
      FROM raised, asked, bound, clock
      RETURNING ${WRITTEN}
    )${recorded(database, REVOCATION_ADDED, factsOf(words), trail)}
    ${OUTCOME}`;
}
